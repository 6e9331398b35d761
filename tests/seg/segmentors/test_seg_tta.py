"""Test-time augmentation: the mean of its parts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.seg.variants import FCN, Variant
from visuite.engine.structures import PixelData
from visuite.seg.registry import MODELS
from visuite.seg.segmentors.seg_tta import SegTTAModel, merge_scores
from visuite.seg.structures import SegDataSample


def versions(image: torch.Tensor) -> dict[str, Any]:
    """An image, its mirror image, and one that is smaller, as a loader of augmented images gives them."""
    small = torch.nn.functional.interpolate(image[None].float(), size=(24, 40))[0].to(torch.uint8)
    parts = [(image, {}), (image.flip(2), {"flip": True, "flip_direction": "horizontal"}), (small, {})]
    truth = PixelData(data=torch.zeros(1, 32, 48, dtype=torch.long))
    samples = [
        [SegDataSample(metainfo={"ori_shape": (32, 48), "img_path": "a.png", **meta}, gt_sem_seg=truth)]
        for _, meta in parts
    ]
    return {"inputs": [[one] for one, _ in parts], "data_samples": samples}


@torch.no_grad()
def test_equals_the_mean_of_its_parts() -> None:
    torch.manual_seed(0)
    model = Variant(FCN).make().eval()
    data = versions(torch.randint(0, 256, (3, 32, 48), dtype=torch.uint8))
    (merged,) = MODELS.build({"type": "SegTTAModel", "module": model}).test_step(data)
    parts = []
    for images, samples in zip(data["inputs"], data["data_samples"], strict=True):
        (one,) = model.test_step({"inputs": images, "data_samples": samples})
        parts.append(one.seg_logits.data.softmax(0))
    mean = torch.stack(parts).mean(0)
    torch.testing.assert_close(merged.seg_logits.data.softmax(0), mean)
    assert torch.equal(merged.pred_sem_seg.data[0], mean.argmax(0))
    assert merged.img_path == "a.png"
    assert merged.gt_sem_seg.shape == (32, 48)


@torch.no_grad()
def test_a_single_version_stays_what_it_is() -> None:
    torch.manual_seed(0)
    model = Variant(FCN).make().eval()
    image = torch.randint(0, 256, (3, 32, 48), dtype=torch.uint8)
    data = {name: value[:1] for name, value in versions(image).items()}
    (merged,) = SegTTAModel(model).test_step(data)
    (plain,) = model.test_step({"inputs": [image], "data_samples": data["data_samples"][0]})
    assert torch.equal(merged.pred_sem_seg.data, plain.pred_sem_seg.data)
    torch.testing.assert_close(merged.seg_logits.data.softmax(0), plain.seg_logits.data.softmax(0))


def test_one_channel_is_a_mean_of_sigmoids() -> None:
    torch.manual_seed(0)
    scores = [torch.randn(1, 3, 4) * 5 for _ in range(3)]
    mean = torch.stack([one.sigmoid() for one in scores]).mean(0)
    torch.testing.assert_close(merge_scores(scores).sigmoid(), mean)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_probabilities_survive(channels: int) -> None:
    score = torch.zeros(channels, 1, 1)
    score[0] = -200.0
    merged = merge_scores([score, score])
    assert merged.isfinite().all()
    low = merged[0] - merged[1] if channels > 1 else merged[0]
    torch.testing.assert_close(low, torch.full_like(low, -200.0))
