"""Soft non-maximum suppression: scores of boxes that overlap a better one decay, instead of the boxes going at once.

Bodla et al., Soft-NMS (arXiv:1704.04503). Shapes: N boxes in, K kept, E pairs of boxes.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import torch

from visuite.cv.ops.bbox_overlaps import bbox_overlaps
from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.nms import check_scored_boxes, join_scores, pixel_edges

Array = TypeVar("Array", torch.Tensor, np.ndarray)
METHODS = ("naive", "linear", "gaussian")
_ROWS = 256  # boxes compared with all others at a time


def soft_nms(
    boxes: Array,
    scores: Array,
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: str = "linear",
    offset: int = 0,
    max_num: int = -1,
) -> tuple[Array, Array]:
    """Let scores decay by their overlap with each better box, and drop those that fall below `min_score`.

    Args:
        boxes: (N, 4) `xyxy`; tensor or array.
        scores: (N,).
        iou_threshold: From which IoU on `linear` decays and `naive` drops.
        sigma: The width of `gaussian`, whose factor is exp(-IoU² / sigma).
        min_score: The least score that stays.
        method: `naive` (plain suppression), `linear` (the factor is 1 - IoU) or `gaussian`.
        offset: 1 where the second corner is the last pixel inside.
        max_num: If positive, how many to keep at most.

    Returns:
        dets (K, 5) with the new scores, by falling score, and their indices (K,) in the input.

    Raises:
        ValueError: shapes that are not (N, 4) and (N,), an unknown method, or an offset other than 0 and 1.
    """
    if isinstance(boxes, np.ndarray):
        tensors = torch.from_numpy(boxes), torch.as_tensor(scores)
        dets, kept = soft_nms(*tensors, iou_threshold, sigma, min_score, method, offset, max_num)
        return dets.numpy(), kept.numpy()
    check_scored_boxes(boxes, scores)
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {METHODS}")
    pairs = _overlapping(pixel_edges(boxes, offset), 0.0 if method == "gaussian" else iou_threshold)
    if method == "gaussian":
        factor = torch.exp(-(pairs.value**2) / sigma)
    else:
        factor = 1 - pairs.value if method == "linear" else torch.zeros_like(pairs.value)
    decayed, taken = _decay(full_precision(scores.detach()), pairs._replace(value=factor), min_score)
    kept = torch.where(taken)[0]
    kept = kept[decayed[kept].argsort(descending=True, stable=True)]
    if max_num > 0:
        kept = kept[:max_num]
    return join_scores(boxes[kept], decayed[kept].to(scores.dtype)), kept


class _Pairs(NamedTuple):
    """Ordered pairs of boxes that affect each other, with a value for each; all (E,)."""

    source: torch.Tensor
    target: torch.Tensor
    value: torch.Tensor

    def only(self, mask: torch.Tensor) -> _Pairs:
        return _Pairs(self.source[mask], self.target[mask], self.value[mask])


def _overlapping(boxes: torch.Tensor, least: float) -> _Pairs:
    """Return all pairs of different boxes with an IoU of at least `least` and above 0."""
    parts = []
    for start in range(0, max(len(boxes), 1), _ROWS):
        iou = bbox_overlaps(boxes[start : start + _ROWS], boxes)
        source, target = torch.where((iou >= least) & (iou > 0))
        parts.append(_Pairs(source + start, target, iou[source, target]))
    pairs = _Pairs(*(torch.cat(column) for column in zip(*parts, strict=True)))
    return pairs.only(pairs.source != pairs.target)


def _decay(scores: torch.Tensor, pairs: _Pairs, min_score: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the decayed scores (N,), and which boxes (N,) were taken.

    Taking one box after another would need N steps. But a box above all others that it overlaps is taken before them,
    whatever happens elsewhere, so all such boxes are taken at once, in a few rounds.
    """
    taken = torch.zeros_like(scores, dtype=torch.bool)
    waiting = scores >= min_score
    while waiting.any():
        pairs = pairs.only(waiting[pairs.source] & waiting[pairs.target])
        mine, theirs = scores[pairs.target], scores[pairs.source]
        below = (theirs > mine) | ((theirs == mine) & (pairs.source < pairs.target))
        chosen = waiting.index_fill(0, pairs.target[below], False)
        hits = pairs.only(chosen[pairs.source])
        scores = scores.scatter_reduce(0, hits.target, hits.value.to(scores), "prod")
        taken = taken | chosen
        waiting = waiting & ~chosen & (scores >= min_score)
    return scores, taken
