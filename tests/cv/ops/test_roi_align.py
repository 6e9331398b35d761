from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import bilinear, random_boxes, random_tensor
from visuite.cv.ops import RoIAlign, roi_align
from visuite.engine.registry import MODELS


def rois_of(count, images=2, size=30.0, seed=0, dtype=torch.float32):
    boxes = random_boxes(count, size=size, seed=seed, dtype=dtype)
    return torch.cat((torch.arange(count).remainder(images)[:, None].to(dtype), boxes), dim=1)


def value_at(image, y, x):
    """Like `bilinear`, but up to one pixel outside the edge's value holds on, as RoIAlign has it."""
    height, width = image.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    return bilinear(image, min(max(y, 0), height - 1), min(max(x, 0), width - 1))


def plain_roi_align(features, rois, size, scale, ratio, mode, aligned):
    out = torch.zeros(len(rois), features.shape[1], *size, dtype=features.dtype)
    shift = 0.5 if aligned else 0.0
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (c * scale - shift for c in box)
        wide, high = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1), max(y2 - y1, 1))
        bin_h, bin_w = high / size[0], wide / size[1]
        points_h, points_w = (ratio, ratio) if ratio else (math.ceil(bin_h), math.ceil(bin_w))
        for c in range(features.shape[1]):
            plane = features[int(image), c]
            for i in range(size[0]):
                for j in range(size[1]):
                    down = [y1 + (i + (p + 0.5) / points_h) * bin_h for p in range(points_h)]
                    right = [x1 + (j + (q + 0.5) / points_w) * bin_w for q in range(points_w)]
                    values = [value_at(plane, y, x) for y in down for x in right]
                    out[k, c, i, j] = max(values) if mode == "max" else sum(values) / len(values)
    return out


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_against_a_loop(mode, ratio, aligned):
    features = random_tensor(2, 2, 9, 11, dtype=torch.float64)
    rois = rois_of(4, size=26, dtype=torch.float64)
    found = roi_align(features, rois, (2, 3), 0.5, ratio, mode, aligned)
    torch.testing.assert_close(found, plain_roi_align(features, rois, (2, 3), 0.5, ratio, mode, aligned))


def test_a_ramp_is_read_at_the_bins_centres():
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)  # each pixel's value is its column
    out = RoIAlign(2, 1.0, 2)(ramp, torch.tensor([[0, 4.0, 4.0, 8.0, 8.0]]))
    torch.testing.assert_close(out[0, 0, 0], torch.tensor([5.0, 7.0]) - 0.5)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_gradients(mode, ratio):
    features = random_tensor(1, 2, 6, 6, dtype=torch.float64).requires_grad_()
    rois = rois_of(2, images=1, size=10, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, 2, 0.5, ratio, mode), features)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_no_regions(mode, ratio):
    features = random_tensor(2, 3, 8, 8).requires_grad_()
    out = roi_align(features, torch.zeros(0, 5), (7, 5), 0.25, ratio, mode)
    assert out.shape == (0, 3, 7, 5)
    out.sum().backward()
    assert features.grad is not None


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_half_precision_keeps_the_coordinates(mode):
    features = random_tensor(1, 2, 200, 200).bfloat16()
    rois = torch.tensor([[0.0, 301.3, 302.7, 340.1, 371.9]])  # bfloat16 would round these by a pixel
    found = roi_align(features, rois, 3, 0.5, 2, mode)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), roi_align(features.float(), rois, 3, 0.5, 2, mode), rtol=1e-2, atol=1e-2)


def test_from_a_config():
    layer = MODELS.build(dict(type="RoIAlign", output_size=7, sampling_ratio=0, use_torchvision=True))
    assert layer.output_size == (7, 7)
    assert "sampling_ratio=0" in repr(layer)


def test_bad_input():
    with pytest.raises(ValueError, match="'mean' is none of"):
        RoIAlign(2, pool_mode="mean")
    with pytest.raises(ValueError, match="'mean' is none of"):
        roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2, pool_mode="mean")
    with pytest.raises(ValueError, match=r"\(K, 5\).*not \(1, 4\)"):
        roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4), 2)
