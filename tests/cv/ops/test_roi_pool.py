from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from tests.cv.ops.test_roi_align import rois_of
from visuite.cv.ops import RoIPool, roi_pool


def plain_roi_pool(features, rois, size, scale):
    height, width = features.shape[2:]
    out = torch.zeros(len(rois), features.shape[1], *size, dtype=features.dtype)
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (math.floor(c * scale + 0.5) for c in box)
        bin_h, bin_w = max(y2 - y1 + 1, 1) / size[0], max(x2 - x1 + 1, 1) / size[1]
        for i in range(size[0]):
            for j in range(size[1]):
                top, bottom = y1 + math.floor(i * bin_h), y1 + math.ceil((i + 1) * bin_h)
                left, right = x1 + math.floor(j * bin_w), x1 + math.ceil((j + 1) * bin_w)
                part = features[int(image), :, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
                if part.numel():
                    out[k, :, i, j] = part.amax(dim=(1, 2))
    return out


def test_against_a_loop():
    features, rois = random_tensor(2, 3, 9, 11, dtype=torch.float64), rois_of(6, size=26, dtype=torch.float64)
    torch.testing.assert_close(roi_pool(features, rois, (2, 3), 0.5), plain_roi_pool(features, rois, (2, 3), 0.5))


def test_gradients():
    features = random_tensor(1, 2, 6, 6, dtype=torch.float64).requires_grad_()
    rois = rois_of(2, images=1, size=10, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: roi_pool(x, rois, 2, 0.5), features)


def test_no_regions_and_half_precision():
    layer = RoIPool(3, 0.5)
    assert layer(random_tensor(2, 3, 8, 8), torch.zeros(0, 5)).shape == (0, 3, 3, 3)
    features = random_tensor(2, 3, 9, 11).bfloat16()
    found = layer(features, rois_of(4, size=20))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found.float(), layer(features.float(), rois_of(4, size=20)))  # a maximum rounds nothing


def test_bad_input():
    with pytest.raises(ValueError, match=r"not \(1, 4\)"):
        roi_pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4), 2)
