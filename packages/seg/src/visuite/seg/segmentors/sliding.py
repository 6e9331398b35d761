"""Scores of an image from crops that slide over it.

Shapes: B images, C channels, K classes, H and W of the images, h and w of a crop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch


def slide(
    images: torch.Tensor,
    score: Callable[[torch.Tensor], torch.Tensor],
    *,
    crop_size: Sequence[int],
    stride: Sequence[int],
) -> torch.Tensor:
    """Return the mean of the scores that each pixel gets from the crops it lies in.

    Scores are added up in place, so that one crop at a time is held.

    Args:
        images: (B, C, H, W).
        score: Crops (B, C, h, w) to scores (B, K, h, w).
        crop_size: h and w; no more than H and W are used.
        stride: Rows and columns from one crop to the next.

    Returns:
        (B, K, H, W), at least of single precision.
    """
    rows, columns = images.shape[2:]
    total: torch.Tensor | None = None
    count = images.new_zeros((rows, columns), dtype=torch.float32)
    for top, bottom in windows(rows, crop_size[0], stride[0]):
        for left, right in windows(columns, crop_size[1], stride[1]):
            scores = score(images[:, :, top:bottom, left:right])
            if total is None:
                exact = torch.promote_types(scores.dtype, torch.float32)
                total = scores.new_zeros((*scores.shape[:2], rows, columns), dtype=exact)
            total[:, :, top:bottom, left:right] += scores
            count[top:bottom, left:right] += 1
    assert total is not None  # every image has at least one window
    return total.div_(count)


def windows(size: int, crop: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of crops that cover `size` pixels; the last is shifted back to lie inside.

    Raises:
        ValueError: a crop or stride that is not positive, or a stride beyond the crop, which would leave gaps.
    """
    if not 0 < stride <= crop:
        raise ValueError(f"the stride of sliding crops is 1 to crop_size {crop}, not {stride}")
    start = 0
    while True:
        end = min(start + crop, size)
        yield max(end - crop, 0), end
        if end == size:
            return
        start += stride
