"""Masks as run lengths, many of them in one piece of memory.

N: masks; H, W: height and width of the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from pycocotools import mask as mask_api

from visuite.cv.masks import encode_rle


@dataclass(frozen=True)
class PackedMasks:
    """The run lengths of N masks of one image, COCO's compressed kind, one behind the other.

    Attributes:
        height, width: Of the image.
        counts: All run lengths.
        ends: Where each mask ends in them, (N,) int64.
    """

    height: int
    width: int
    counts: bytes
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def to_rles(self) -> list[dict[str, Any]]:
        """Return `dict(size=[H, W], counts=bytes)` of each."""
        size = [self.height, self.width]
        bounds = pairwise([0, *self.ends.tolist()])
        return [{"size": size, "counts": self.counts[start:end]} for start, end in bounds]


def encode_masks(masks: Any, size: tuple[int, int]) -> PackedMasks:
    """Encode the masks of an image.

    Args:
        masks: (N, H, W) of booleans or zeros and ones, on any device; or a list of RLE and polygons, as COCO has them;
            or an object with `to_ndarray()`.
        size: H and W.

    Raises:
        ValueError: masks have another size than the image.
    """
    if hasattr(masks, "to_ndarray"):
        masks = masks.to_ndarray()
    if isinstance(masks, torch.Tensor):
        masks = masks.detach().cpu().numpy()
    height, width = (int(side) for side in size)
    if isinstance(masks, np.ndarray):
        if len(masks) and masks.shape[1:] != (height, width):
            raise ValueError(f"masks of shape {masks.shape} in an image of {height} x {width}")
        found = encode_rle(masks)
    else:
        found = [as_rle(one, (height, width)) for one in masks]
    counts = [one["counts"].encode() if isinstance(one["counts"], str) else one["counts"] for one in found]
    ends = np.cumsum([len(one) for one in counts], dtype=np.int64)
    return PackedMasks(height, width, b"".join(counts), ends)


def as_rle(mask: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Return a mask of COCO's three kinds (polygons, run lengths as a list, compressed run lengths) as the last one.

    Args:
        mask: The mask.
        size: H and W of its image.

    Raises:
        TypeError: it is none of them.
        ValueError: it has another size.
    """
    height, width = size
    if isinstance(mask, Mapping):
        if list(mask["size"]) != [height, width]:
            raise ValueError(f"a mask of {list(mask['size'])} in an image of {[height, width]}")
        return mask_api.frPyObjects(dict(mask), height, width) if isinstance(mask["counts"], list) else dict(mask)
    if isinstance(mask, Sequence) and not isinstance(mask, str):
        return mask_api.merge(mask_api.frPyObjects([list(map(float, one)) for one in mask], height, width))
    raise TypeError(f"a mask is a list of polygons or a dict of run lengths, not a {type(mask).__name__}")
