"""What transformers are told of images that do not fill their batch."""

from __future__ import annotations

import pytest
import torch

from tests.det.test_contracts import shaken
from tests.det.variants import VARIANTS
from visuite.det.detectors.deformable_detr import Memory, _grid, _pixel_boxes, _pixel_centres, _valid_ratio
from visuite.det.layers.transformer import inverse_sigmoid, padding_masks


def test_padding_is_what_no_image_covers() -> None:
    metas = [{"img_shape": (3, 5)}, {"img_shape": (4, 6)}, {"img_shape": (1, 2, 3)}]
    masks = padding_masks(metas, (4, 6), torch.device("cpu"))
    for mask, meta in zip(masks, metas, strict=True):
        h, w = meta["img_shape"][:2]
        for y in range(4):
            for x in range(6):
                assert mask[y, x] == float(not (y < h and x < w))


def test_inverse_of_the_sigmoid() -> None:
    values = torch.tensor([-0.5, 0.0, 1e-7, 0.2, 0.5, 0.999999, 1.0, 2.0])
    found = inverse_sigmoid(values)
    torch.testing.assert_close(found.sigmoid(), values.clamp(1e-5, 1 - 1e-5), atol=1e-5, rtol=0)
    assert found.isfinite().all()


def test_centres_of_pixels_are_parts_of_each_image() -> None:
    assert _grid((2, 3), torch.device("cpu")).tolist() == [[x + 0.5, y + 0.5] for y in range(2) for x in range(3)]
    mask = padding_masks([{"img_shape": (4, 6)}, {"img_shape": (2, 3)}], (4, 6), torch.device("cpu")).bool()
    ratios = torch.stack([_valid_ratio(mask)] * 2, dim=1)
    assert ratios[1].tolist() == [[0.5, 0.5]] * 2
    centres = _pixel_centres([(4, 6), (2, 3)], ratios)
    assert centres.shape == (2, 30, 2, 2)
    torch.testing.assert_close(centres[0, 7, 0], torch.tensor([1.5 / 6, 1.5 / 4]))
    # Where it is in the image, and from there where it is on a map that the image fills by half.
    torch.testing.assert_close(centres[1, 7, 1], torch.tensor([1.5 / 3, 1.5 / 2]) * 0.5)


def test_no_box_is_proposed_at_an_edge_or_beside_the_image() -> None:
    mask = padding_masks([{"img_shape": (4, 6)}, {"img_shape": (2, 3)}], (4, 6), torch.device("cpu")).bool()
    memory = Memory(torch.zeros(2, 24, 4), mask.flatten(1), [(4, 6)], _valid_ratio(mask)[:, None])
    boxes, inside = _pixel_boxes(memory)
    assert inside[0].all()
    assert inside[1].view(4, 6).nonzero().tolist() == [[y, x] for y in range(2) for x in range(3)]
    torch.testing.assert_close(boxes[1, 7].sigmoid(), torch.tensor([1.5 / 3, 1.5 / 2, 0.05, 0.05]))
    assert boxes[~inside].isposinf().all()


@pytest.mark.parametrize("name", ["detr", "deformable-detr", "deformable-detr-two-stage"])
def test_what_is_in_the_padding_does_not_matter(name: str) -> None:
    model = shaken(VARIANTS[name].make()).eval()
    data = model.data_preprocessor(VARIANTS[name].batch(1, 1, sizes=((64, 64), (128, 128))))
    masks = padding_masks([one.metainfo for one in data["data_samples"]], (128, 128), torch.device("cpu"))
    assert masks[0].mean() == 0.75

    def seen(noise: float) -> list[torch.Tensor]:
        """The encoder's tokens of the smaller image, had the backbone seen something beside it."""
        inputs = data["inputs"].clone()
        with torch.no_grad():
            feats = [one.clone() for one in model.extract_feat(inputs)]
            for one in feats:
                step = 128 // one.shape[-1]
                one[:1] += noise * masks[:1, None, ::step, ::step]
            model.extract_feat = lambda _: tuple(feats)
            scores, boxes = model.tensors(inputs, data["data_samples"])
        del model.extract_feat
        return [scores[-1, 0], boxes[-1, 0]]

    for one, other in zip(seen(0.0), seen(5.0), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
