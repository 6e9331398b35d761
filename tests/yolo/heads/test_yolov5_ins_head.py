"""Masks as sums of prototypes: what they cost, and how they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.yolo.heads.small import (
    HEIGHT,
    META,
    SIZES,
    STRIDES,
    WIDTH,
    build,
    config,
    features,
    some_samples,
    some_truth,
)
from tests.yolo.heads.test_anchors import PLACES
from visuite.det.assign import sweep
from visuite.det.structures import mask_array
from visuite.engine.structures import PixelData
from visuite.yolo.assign.ratio import match_by_ratio
from visuite.yolo.heads import yolov5_ins_head
from visuite.yolo.heads.truth import batch_truth
from visuite.yolo.heads.yolov5_ins_head import pixels_inside

DEPTH, PROTO = 4, (HEIGHT // 4, WIDTH // 4)
CPU = torch.device("cpu")


def head_of(**options: Any) -> Any:
    layers = {"mask_channels": DEPTH, "proto_channels": 8}
    return build(config("YOLOv5InsHead", head_module=layers, **options)).train()


def with_maps(counts: list[int]) -> Any:
    """Samples whose masks are one small map for each image, as `Polygon2Mask` makes them: small ones on top."""
    samples = some_samples(counts)
    for sample in samples:
        masks = mask_array(sample.gt_instances.pop("masks"))[:, 2::4, 2::4]
        order = np.argsort(-masks.sum(axis=(1, 2)), kind="stable")
        sample.gt_instances = sample.gt_instances[order.tolist()]
        flat = np.zeros(PROTO, np.uint8)
        for number, place in enumerate(order, 1):
            flat[masks[place]] = number
        sample.gt_panoptic_seg = PixelData(pan_seg=torch.from_numpy(flat)[None])
    return samples


def plain_mask_loss(maps: Any, truth: Any, matches: Any, wanted: Any) -> torch.Tensor:
    """Mean over pixels in the box, over pairs of an image and level, over images; sum over levels, times images."""
    costs: dict[tuple[int, int], list[torch.Tensor]] = {}
    for image, prior, number, level in zip(
        *(getattr(matches, name).tolist() for name in ("images", "priors", "objects", "levels")), strict=True
    ):
        _, row, column, anchor = PLACES[prior]
        said = maps[3][level][image, :, row, column].reshape(2, DEPTH)[anchor]
        x1, y1, x2, y2 = (truth.rows[number, 2:] / 4).tolist()
        logits = sum(weight * proto for weight, proto in zip(said, maps[4][0][image], strict=True))
        pixels = [(y, x) for y in range(PROTO[0]) for x in range(PROTO[1])]
        pixels = [(y, x) for y, x in pixels if x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2]
        own = torch.stack([logits[y, x] for y, x in pixels] or [torch.zeros(())])
        target = torch.tensor([float(wanted(image, number, y, x)) for y, x in pixels] or [0.0])
        total = F.binary_cross_entropy_with_logits(own, target, reduction="sum") if pixels else torch.zeros(())
        costs.setdefault((image, level), []).append(total / max((x2 - x1) * (y2 - y1), 1))
    return 0.05 * sum((torch.stack(each).mean() for each in costs.values()), torch.zeros(()))


def test_mask_loss_by_plain_loops() -> None:
    head, truth = head_of(), some_truth([2, 1], with_masks=True)
    maps = head(features())
    assert maps[4][0].shape == (2, DEPTH, *PROTO)
    assert maps[3][0].shape == (2, 2 * DEPTH, *SIZES[0])
    matches = match_by_ratio(truth.rows, head.prior_generator, SIZES)
    assert truth.masks.shape == (3, HEIGHT, WIDTH)
    told = plain_mask_loss(maps, truth, matches, lambda image, number, y, x: truth.masks[number, 4 * y + 2, 4 * x + 2])
    found = head.loss_by_feat(*maps, truth=truth)
    assert set(found) == {"loss_cls", "loss_obj", "loss_bbox", "loss_mask"}
    torch.testing.assert_close(found["loss_mask"], told, rtol=1e-4, atol=1e-6)


def test_mask_loss_of_maps_of_numbers() -> None:
    head, samples = head_of(), with_maps([3, 2])
    truth = batch_truth(samples, CPU, with_masks=True)
    maps = head(features())
    matches = match_by_ratio(truth.rows, head.prior_generator, SIZES)
    assert truth.masks.shape == (2, *PROTO)
    first = (0, 3)

    def wanted(image: int, number: int, y: int, x: int) -> bool:
        return bool(truth.masks[image, y, x] == number - first[image] + 1)

    told = plain_mask_loss(maps, truth, matches, wanted)
    torch.testing.assert_close(head.loss_by_feat(*maps, truth=truth)["loss_mask"], told, rtol=1e-4, atol=1e-6)


def test_collated_masks_keep_to_their_objects() -> None:
    """Rows of a collated batch stand image by image in any order of images; masks stand as they do."""
    head, truth = head_of(), some_truth([2, 2], with_masks=True)
    order = torch.tensor([2, 3, 0, 1])
    collated = {"bboxes_labels": truth.rows[order], "img_metas": [META, META], "masks": truth.masks[order]}
    found = head.loss(features(), collated)["loss_mask"]
    torch.testing.assert_close(found, head.loss(features(), some_samples([2, 2]))["loss_mask"])


def test_slices_change_neither_losses_nor_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    head, samples, results = head_of(), some_samples([9, 4]), []
    for pixels in (yolov5_ins_head.PIXELS_AT_ONCE, 2 * PROTO[0] * PROTO[1] * 3):
        monkeypatch.setattr(yolov5_ins_head, "PIXELS_AT_ONCE", pixels)
        monkeypatch.setattr(sweep, "PAIRS_AT_ONCE", pixels)
        head.zero_grad()
        loss = head.loss(features(), samples)["loss_mask"]
        loss.backward()
        results.append((loss, [one.grad.clone() for one in head.parameters()]))
    (one, gradients), (other, more) = results
    torch.testing.assert_close(one, other)
    for first, second in zip(gradients, more, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-6)


def test_objects_without_masks_are_an_error() -> None:
    samples = some_samples([2])
    del samples[0].gt_instances.masks
    with pytest.raises(ValueError, match="the batch has none"):
        head_of().loss(features(1), samples)


# ---------------------------------------------------------------------- predictions


def disc(proto: tuple[int, int], x: float, y: float, radius: float) -> torch.Tensor:
    """A prototype (h, w): large inside of a disc, at (x, y) in pixels of the input, and small outside."""
    down, across = torch.meshgrid(*(torch.arange(edge) * 4 + 2.0 for edge in proto), indexing="ij")
    return (radius - ((across - x) ** 2 + (down - y) ** 2).sqrt()) * 2


@pytest.mark.parametrize("fast", [True, False])
def test_masks_are_drawn_where_they_are_in_the_file(fast: bool) -> None:
    """An image of 60 x 30, twice as large in the input, with 20 rows of padding above and 4 columns at the left."""
    head, proto = head_of(), (40, 40)
    meta = {"img_shape": (160, 160), "ori_shape": (60, 70), "scale_factor": (2.0, 2.0), "pad_param": (20, 20, 4, 16)}
    x, y, radius = 84.0, 90.0, 30.0
    protos = torch.stack([disc(proto, x, y, radius), disc(proto, x, y, 12.0), torch.zeros(proto), torch.zeros(proto)])
    coefficients = torch.eye(4)[[0, 1, 0]]
    settings = {"fast_test": fast, "mask_thr_binary": 0.5}
    everything = torch.tensor([0.0, 0, 70, 60])
    for rescale, size, (cx, cy, r) in ((True, (60, 70), (40.0, 35.0, 15.0)), (False, (160, 160), (x, y, radius))):
        boxes = torch.stack([everything * 3, everything * 3, torch.tensor([0.0, 0, cx, 3 * size[0]])])
        found = head.draw_masks(coefficients, protos, boxes, meta, settings, rescale=rescale)
        assert found.shape == (3, *size)
        assert found.dtype == torch.bool
        down, across = torch.meshgrid(*(torch.arange(edge) + 0.5 for edge in size), indexing="ij")
        away = ((across - cx) ** 2 + (down - cy) ** 2).sqrt()
        for mask, limit in ((found[0], r), (found[1], r * 12 / 30)):
            assert mask[away < limit - 1.5].all()
            assert not mask[away > limit + 1.5].any()
        assert torch.equal(found[2], found[0] & (across < cx))


def test_thresholds_and_nothing_to_draw() -> None:
    head, proto = head_of(), (12, 20)
    protos = torch.stack([disc(proto, 40, 24, 12)] * 4) / 8
    box = torch.tensor([[0.0, 0, WIDTH, HEIGHT]])
    areas = [
        head.draw_masks(
            torch.eye(4)[:1], protos, box, META, {"fast_test": True, "mask_thr_binary": threshold}, rescale=True
        ).sum()
        for threshold in (0.2, 0.5, 0.8)
    ]
    assert areas[0] > areas[1] > areas[2] > 0
    nothing = head.draw_masks(torch.zeros(0, 4), protos, box[:0], META, {}, rescale=True)
    assert nothing.shape == (0, HEIGHT, WIDTH)


def test_predictions_have_masks_within_their_boxes() -> None:
    head = head_of().eval()
    samples = some_samples([1, 1])
    for sample, one in zip(samples, head.predict(features(), samples, rescale=True), strict=True):
        assert len(one) > 0
        assert "coefficients" not in one
        assert one.masks.shape == (len(one), *sample.ori_shape)
        assert not (one.masks & ~pixels_inside(one.bboxes, sample.ori_shape)).any()


def test_pixels_inside_by_plain_loops() -> None:
    boxes = torch.tensor([[[0.0, 0, 2, 3], [1.5, 0.4, 3.6, 1.6]], [[0, 0, 0, 0], [-5, -5, 1.4, 9]]])
    found = pixels_inside(boxes, (3, 5))
    assert found.shape == (2, 2, 3, 5)
    for image in range(2):
        for number in range(2):
            x1, y1, x2, y2 = boxes[image, number].tolist()
            told = [[x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2 for x in range(5)] for y in range(3)]
            assert found[image, number].tolist() == told


def test_channels() -> None:
    head = build(config("YOLOv5InsHead", head_module={"widen_factor": 0.5, "in_channels": (16, 32)}))
    shapes = {name: tuple(value.shape) for name, value in head.head_module.state_dict().items()}
    assert shapes["convs_pred.1.weight"] == (2 * (5 + 3 + 32), 16, 1, 1)
    assert shapes["proto_pred.conv1.conv.weight"] == (128, 8, 3, 3)
    assert shapes["proto_pred.conv3.conv.weight"] == (32, 128, 1, 1)
    assert head.proto_stride * 2 == STRIDES[0]
