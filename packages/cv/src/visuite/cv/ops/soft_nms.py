"""Soft non-maximum suppression: scores of boxes that overlap a better one decay, instead of the boxes going at once.

Bodla et al., Soft-NMS (arXiv:1704.04503). Shapes: N boxes in, K kept, E pairs that affect each other.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import torch

from visuite.cv.ops.bbox_overlaps import bbox_overlaps
from visuite.cv.ops.boxes import full_precision

Array = TypeVar("Array", torch.Tensor, np.ndarray)
METHODS = ("naive", "linear", "gaussian")
_CHUNK = 1024


class _Pairs(NamedTuple):
    """Which boxes affect which, in both directions: `weight` (E,) is what `target`'s score is multiplied by."""

    source: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


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

    One box after another would take N steps. But a box that scores higher than all others it overlaps can only be
    taken before them, whatever happens elsewhere: all such boxes are taken at once, in a few rounds.

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
        dets (K, 5) with the new scores, by falling score, and their indices (K,) in the input; of the kind that came in.

    Raises:
        ValueError: an unknown method, or an offset other than 0 and 1.
    """
    if isinstance(boxes, np.ndarray):
        tensors = torch.from_numpy(boxes), torch.as_tensor(scores)
        dets, kept = soft_nms(*tensors, iou_threshold, sigma, min_score, method, offset, max_num)
        return dets.numpy(), kept.numpy()
    if method not in METHODS or offset not in (0, 1):
        raise ValueError(f"method is one of {METHODS} and offset 0 or 1, not {method!r} and {offset}")
    wide = full_precision(boxes.detach())
    if offset:
        wide = wide + wide.new_tensor([0, 0, 1, 1])
    pairs = _affected(wide, iou_threshold, sigma, method)
    decayed, taken = _decay(full_precision(scores.detach()), pairs, min_score)
    kept = torch.where(taken)[0]
    kept = kept[decayed[kept].argsort(descending=True, stable=True)]
    if max_num > 0:
        kept = kept[:max_num]
    return torch.cat((boxes[kept], decayed[kept][:, None].to(boxes.dtype)), dim=1), kept


def _affected(boxes: torch.Tensor, iou_threshold: float, sigma: float, method: str) -> _Pairs:
    """Return the pairs whose overlap changes a score; rows are worked on in chunks, to save memory."""
    sources, targets, ious = [], [], []
    for start in range(0, len(boxes), _CHUNK):
        iou = bbox_overlaps(boxes[start : start + _CHUNK], boxes)
        source, target = torch.where(iou > 0 if method == "gaussian" else (iou >= iou_threshold) & (iou > 0))
        sources.append(source + start)
        targets.append(target)
        ious.append(iou[source, target])
    if not sources:
        return _Pairs(boxes.new_zeros(0, dtype=torch.long), boxes.new_zeros(0, dtype=torch.long), boxes.new_zeros(0))
    source, target, iou = torch.cat(sources), torch.cat(targets), torch.cat(ious)
    others = source != target
    source, target, iou = source[others], target[others], iou[others]
    weights = {"naive": torch.zeros_like, "linear": lambda x: 1 - x, "gaussian": lambda x: torch.exp(-(x**2) / sigma)}
    return _Pairs(source, target, weights[method](iou))


def _decay(scores: torch.Tensor, pairs: _Pairs, min_score: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the decayed scores (N,), and which boxes (N,) were taken."""
    scores = scores.clone()
    taken = torch.zeros_like(scores, dtype=torch.bool)
    waiting = scores >= min_score
    while True:
        source, target, weight = pairs
        pairs = _Pairs(*(part[waiting[source] & waiting[target]] for part in pairs))
        source, target, weight = pairs
        ahead = scores[source] > scores[target]
        ahead |= (scores[source] == scores[target]) & (source < target)
        blocked = torch.zeros_like(taken).index_put_((target[ahead],), torch.ones_like(target[ahead], dtype=torch.bool))
        chosen = waiting & ~blocked
        if not chosen.any():
            return scores, taken
        taken |= chosen
        hit = chosen[source]
        factor = torch.ones_like(scores).scatter_reduce_(0, target[hit], weight[hit].to(scores), "prod")
        scores *= factor
        waiting &= ~chosen & (scores >= min_score)
