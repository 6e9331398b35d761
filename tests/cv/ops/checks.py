"""What several tests of operators share: random boxes, and boxes' overlaps by plain arithmetic."""

from __future__ import annotations

import math

import torch


def random_boxes(count, size=100.0, seed=0, dtype=torch.float32):
    """Boxes (count, 4) `xyxy` with corners in [0, size]."""
    gen = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=gen, dtype=torch.float64) * size
    return torch.cat((corners.amin(1), corners.amax(1)), dim=1).to(dtype)


def random_tensor(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def plain_iou(a, b, offset=0):
    """IoU of two boxes, each a list of 4 numbers."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    area = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
    union = area[0] + area[1] - wide * high
    return wide * high / union if union > 0 else 0.0


def bilinear(image, y, x):
    """Value of a 2-d array at (y, x), pixel centres being whole numbers and everything outside being 0."""
    y0, x0 = math.floor(y), math.floor(x)
    total = 0.0
    for row in (y0, y0 + 1):
        for column in (x0, x0 + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * image[row, column].item()
    return total
