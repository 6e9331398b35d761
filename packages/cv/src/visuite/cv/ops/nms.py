"""Non-maximum suppression: of boxes that overlap, the one of the highest score stays.

Shapes: N boxes in, K kept. Boxes are `xyxy`, `dets` are boxes with their score as fifth column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
import torchvision

from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.soft_nms import soft_nms

Array = TypeVar("Array", torch.Tensor, np.ndarray)
DEFAULT_SPLIT = 10000


def nms(
    boxes: Array,
    scores: Array,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
    max_num: int = -1,
) -> tuple[Array, Array]:
    """Drop each box that overlaps one of higher score by more than the threshold.

    Args:
        boxes: (N, 4); tensor or array.
        scores: (N,).
        iou_threshold: IoU above which the lower box goes.
        offset: 1 where the second corner is the last pixel inside, so that a box is x2 - x1 + 1 wide.
        score_threshold: If positive, only scores above it take part.
        max_num: If positive, how many to keep at most.

    Returns:
        dets (K, 5) by falling score, and their indices (K,) in the input; of the kind that came in.

    Raises:
        ValueError: shapes that are not (N, 4) and (N,), or an offset other than 0 and 1.
    """
    if isinstance(boxes, np.ndarray):
        tensors = torch.from_numpy(boxes), torch.as_tensor(scores)
        dets, kept = nms(*tensors, iou_threshold, offset, score_threshold, max_num)
        return dets.numpy(), kept.numpy()
    _check(boxes, scores)
    if offset not in (0, 1):
        raise ValueError(f"offset is 0 or 1, not {offset}")
    kept = _suppress(boxes, scores, iou_threshold, offset, score_threshold)
    if max_num > 0:
        kept = kept[:max_num]
    return _dets(boxes[kept], scores[kept]), kept


def batched_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    idxs: torch.Tensor,
    nms_cfg: Mapping[str, Any] | None,
    class_agnostic: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Suppress within each group: boxes of different classes (or images, or levels) leave each other alone.

    Args:
        boxes: (N, 4).
        scores: (N,).
        idxs: (N,), the group of each box.
        nms_cfg: `type` (`nms` or `soft_nms`) and its arguments; `class_agnostic`; `max_num`; `split_thr`, the number of
            boxes from which on groups are worked on one after another, to save memory. None only sorts by score.
        class_agnostic: Take all boxes for one group.

    Returns:
        dets (K, 5) by falling score, and their indices (K,) in the input.

    Raises:
        ValueError: shapes that do not go together, or an unknown `type`.
        TypeError: an argument that the type does not take.
    """
    _check(boxes, scores)
    if nms_cfg is None:
        order = scores.argsort(descending=True, stable=True)
        return _dets(boxes[order], scores[order]), order
    settings = dict(nms_cfg)
    suppress = _by_type(settings.pop("type", "nms"))
    split = settings.pop("split_thr", DEFAULT_SPLIT)
    max_num = settings.pop("max_num", -1)
    if settings.pop("class_agnostic", class_agnostic):
        dets, kept = suppress(boxes, scores, **settings)
    elif torch.compiler.is_exporting() or len(boxes) < split:
        dets, kept = suppress(_apart(boxes, idxs), scores, **settings)
    else:
        dets, kept = _one_by_one(suppress, boxes, scores, idxs, settings)
    if max_num > 0:
        dets, kept = dets[:max_num], kept[:max_num]
    return torch.cat((boxes[kept].to(dets.dtype), dets[:, 4:]), dim=1), kept


def _check(boxes: torch.Tensor, scores: torch.Tensor) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        shapes = f"{tuple(boxes.shape)} and {tuple(scores.shape)}"
        raise ValueError(f"boxes and scores have shapes (N, 4) and (N,), not {shapes}")


def _dets(boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    return torch.cat((boxes, scores[:, None].to(boxes.dtype)), dim=1)


def _suppress(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int, score_threshold: float
) -> torch.Tensor:
    """Return the indices (K,) that stay, by falling score."""
    boxes, scores = full_precision(boxes.detach()), full_precision(scores.detach()).to(full_precision(boxes).dtype)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, 1, 1])  # a box to the end of its last pixel
    if score_threshold <= 0:
        return torchvision.ops.nms(boxes, scores, iou_threshold)
    candidates = torch.where(scores > score_threshold)[0]
    return candidates[torchvision.ops.nms(boxes[candidates], scores[candidates], iou_threshold)]


def _by_type(kind: str) -> Any:
    known = {"nms": nms, "soft_nms": soft_nms}
    if kind not in known:
        raise ValueError(f"nms_cfg: type {kind!r} is none of {sorted(known)}")
    return known[kind]


def _apart(boxes: torch.Tensor, idxs: torch.Tensor) -> torch.Tensor:
    """Move each group (N,) to a place of its own, so that boxes of different groups cannot overlap.

    In double precision the way there costs the coordinates no digits, however many groups there are. Exported models stay in
    float32, the only type of ONNX's suppression.
    """
    if boxes.shape[0] == 0 and not torch.compiler.is_exporting():
        return boxes
    boxes = full_precision(boxes) if torch.compiler.is_exporting() else boxes.double()
    low = boxes.min()
    return boxes - low + (idxs.to(boxes) * (boxes.max() - low + 1))[:, None]


def _one_by_one(
    suppress: Any, boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, settings: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Suppress one group after another, and sort what is left of all of them by score."""
    parts = []
    for group in idxs.unique():
        members = torch.where(idxs == group)[0]
        dets, kept = suppress(boxes[members], scores[members], **settings)
        parts.append((dets, members[kept]))
    dets, kept = (torch.cat(column) for column in zip(*parts, strict=True))
    order = dets[:, 4].argsort(descending=True, stable=True)
    return dets[order], kept[order]
