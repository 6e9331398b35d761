"""Polygons and run lengths to bitmaps, exactly as COCO's own tools do it.

Shapes: N masks, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def polygons_to_bitmap(polygons: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """Return the union of polygons as a bitmap.

    Args:
        polygons: Each x1, y1, x2, y2, ... in pixels, at least three points; parts outside the image are left out.
        height: H.
        width: W.

    Returns:
        (H, W) bool.
    """
    if not len(polygons):
        return np.zeros((height, width), bool)
    coco = _coco()
    return coco.decode(coco.merge(_encoded(coco, polygons, height, width))).astype(bool)


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """Return run lengths, `dict(size=(H, W), counts=...)`, as a bitmap (H, W) bool; counts may be compressed or a list.

    Raises:
        ValueError: `size` or `counts` is missing or none, or the counts do not fill the size.
    """
    if not is_rle(rle):
        raise ValueError(f"run lengths are dict(size=(H, W), counts=string or list), not {rle!r:.100}")
    height, width = rle["size"]
    counts = rle["counts"]
    if isinstance(counts, list):
        if sum(counts) != height * width:
            raise ValueError(f"counts fill {sum(counts)} pixels, and a mask of size {height}x{width} has others")
        values = np.arange(len(counts)) % 2 == 1
        return np.repeat(values, counts).reshape(width, height).T  # COCO counts down the columns
    return _coco().decode({"size": [height, width], "counts": counts}).astype(bool)


def encode_rle(masks: np.ndarray) -> list[dict[str, Any]]:
    """Return bitmaps (N, H, W) as compressed run lengths `dict(size=[H, W], counts=bytes)`."""
    return list(_coco().encode(np.asfortranarray(masks.transpose(1, 2, 0), np.uint8))) if len(masks) else []


def is_rle(mask: Any) -> bool:
    """Whether a mask is written as run lengths."""
    return (
        isinstance(mask, Mapping)
        and len(mask.get("size") or ()) == 2
        and isinstance(mask.get("counts"), (list, str, bytes))
    )


def _encoded(coco: Any, polygons: Sequence[np.ndarray], height: int, width: int) -> Any:
    return coco.frPyObjects([np.asarray(one, np.float64) for one in polygons], height, width)


def _coco() -> Any:
    try:
        import pycocotools.mask
    except ImportError as error:
        raise ImportError(
            "polygons and run lengths need pycocotools: pip install 'visuite-cv[masks]'", name="pycocotools"
        ) from error
    return pycocotools.mask
