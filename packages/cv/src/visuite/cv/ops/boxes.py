"""The three ways to write a box down, and the sizes that overlaps are made of.

`xyxy` is two corners, `xywh` the first corner and the size, `cxcywh` the centre and the size; all in pixels or all in
parts of the image, with x to the right and y down.
"""

from __future__ import annotations

import torch

BOX_FORMATS = ("xyxy", "xywh", "cxcywh")


def full_precision(x: torch.Tensor) -> torch.Tensor:
    """Return `x` in float32, or as it is where that would lose digits: coordinates do not fit into half precision."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def convert_boxes(boxes: torch.Tensor, source: str, target: str) -> torch.Tensor:
    """Rewrite boxes (..., 4) from one of `xyxy`, `xywh` and `cxcywh` to another.

    Raises:
        ValueError: an unknown format, or a last dimension that is not 4.
    """
    for name in (source, target):
        if name not in BOX_FORMATS:
            raise ValueError(f"box format {name!r} is none of {BOX_FORMATS}")
    if boxes.shape[-1] != 4:
        raise ValueError(f"boxes have shape (..., 4), not {tuple(boxes.shape)}")
    if source == target:
        return boxes.clone()
    return _from_corners(_to_corners(boxes, source), target)


def _to_corners(boxes: torch.Tensor, source: str) -> torch.Tensor:
    if source == "xyxy":
        return boxes
    start, size = boxes[..., :2], boxes[..., 2:]
    if source == "cxcywh":
        start = start - size / 2
    return torch.cat((start, start + size), dim=-1)


def _from_corners(boxes: torch.Tensor, target: str) -> torch.Tensor:
    if target == "xyxy":
        return boxes
    start, end = boxes[..., :2], boxes[..., 2:]
    return torch.cat((start if target == "xywh" else (start + end) / 2, end - start), dim=-1)


def bbox_xyxy_to_cxcywh(bbox: torch.Tensor) -> torch.Tensor:
    """Corners (..., 4) to centres and sizes (..., 4)."""
    return convert_boxes(bbox, "xyxy", "cxcywh")


def bbox_cxcywh_to_xyxy(bbox: torch.Tensor) -> torch.Tensor:
    """Centres and sizes (..., 4) to corners (..., 4)."""
    return convert_boxes(bbox, "cxcywh", "xyxy")


def bbox_xyxy_to_xywh(bbox: torch.Tensor) -> torch.Tensor:
    """Corners (..., 4) to first corners and sizes (..., 4), which is COCO's format."""
    return convert_boxes(bbox, "xyxy", "xywh")


def bbox_xywh_to_xyxy(bbox: torch.Tensor) -> torch.Tensor:
    """First corners and sizes (..., 4) to corners (..., 4)."""
    return convert_boxes(bbox, "xywh", "xyxy")


def box_area(boxes: torch.Tensor) -> torch.Tensor:
    """Areas (...) of `xyxy` boxes (..., 4), in float32 at least; negative where a box is turned over."""
    boxes = full_precision(boxes)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
