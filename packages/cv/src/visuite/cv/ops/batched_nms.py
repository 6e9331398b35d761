"""Suppression within groups, such as the classes of an image.

Shapes: N boxes in, K kept. Boxes are `xyxy`; `dets` are boxes with their score as fifth column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.nms import check_scored_boxes, join_scores, nms
from visuite.cv.ops.soft_nms import soft_nms

Suppression = Callable[..., tuple[torch.Tensor, torch.Tensor]]
SUPPRESSIONS: dict[str, Suppression] = {"nms": nms, "soft_nms": soft_nms}
SPLIT_FROM = 10000
_PACK = 200  # boxes from which on a call's own cost counts little
_SPLIT_FROM_ON_CPU = 1000  # without thousands of threads, comparing boxes of different groups costs time


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
            boxes from which on few groups are worked on at a time, to save memory. None only sorts by score.
        class_agnostic: Take all boxes for one group.

    Returns:
        dets (K, 5) by falling score, and their indices (K,) in the input.

    Raises:
        ValueError: shapes that do not go together, or an unknown `type`.
        TypeError: an argument that the type does not take.
    """
    check_scored_boxes(boxes, scores)
    if nms_cfg is None:
        order = scores.argsort(descending=True, stable=True)
        return join_scores(boxes[order], scores[order]), order
    settings = dict(nms_cfg)
    suppress = _suppression(settings.pop("type", "nms"))
    split = max(settings.pop("split_thr", SPLIT_FROM), 1)
    if boxes.device.type == "cpu":
        split = min(split, _SPLIT_FROM_ON_CPU)
    max_num = settings.pop("max_num", -1)
    if settings.pop("class_agnostic", class_agnostic):
        dets, kept = suppress(boxes, scores, **settings)
    elif torch.compiler.is_exporting() or len(boxes) < split:
        dets, kept = suppress(_apart(boxes, idxs), scores, **settings)
    else:
        dets, kept = _pack_by_pack(suppress, boxes, scores, idxs, settings)
    if max_num > 0:
        dets, kept = dets[:max_num], kept[:max_num]
    return join_scores(boxes[kept], dets[:, 4].to(scores.dtype)), kept


def _suppression(kind: str) -> Suppression:
    if kind not in SUPPRESSIONS:
        raise ValueError(f"nms_cfg: type {kind!r} is none of {sorted(SUPPRESSIONS)}")
    return SUPPRESSIONS[kind]


def _apart(boxes: torch.Tensor, idxs: torch.Tensor) -> torch.Tensor:
    """Move each group (N,) to a place of its own, so that boxes of different groups cannot overlap.

    In double precision the way there costs the coordinates no digits, however many groups there are. Exported models
    stay in float32, the only type of ONNX's suppression.
    """
    boxes = full_precision(boxes) if torch.compiler.is_exporting() else boxes.double()
    extent = torch.cat((boxes, boxes.new_zeros(1, 4)))  # there is always something to take the extremes of
    stride = extent.max() - extent.min() + 1
    return boxes + (idxs.to(boxes) * stride)[:, None]


def _pack_by_pack(
    suppress: Suppression, boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, settings: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Suppress one small pack of groups after another, and sort what is left of all of them by score."""
    by_group, order = idxs.sort(stable=True)
    sizes = _packed(by_group.unique_consecutive(return_counts=True)[1].tolist())
    parts = []
    for members in order.split(sizes):
        dets, kept = suppress(_apart(boxes[members], idxs[members]), scores[members], **settings)
        parts.append((dets, members[kept]))
    dets, kept = (torch.cat(column) for column in zip(*parts, strict=True))
    order = dets[:, 4].argsort(descending=True, stable=True)
    return dets[order], kept[order]


def _packed(sizes: list[int]) -> list[int]:
    """Join neighbouring groups until each pack is worth a call."""
    packs = [sizes[0]]
    for size in sizes[1:]:
        if packs[-1] < _PACK:
            packs[-1] += size
        else:
            packs.append(size)
    return packs
