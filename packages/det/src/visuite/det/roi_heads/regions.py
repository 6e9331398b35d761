"""Regions of images: how they are written down, which of them are learnt from, and what becomes of their scores.

Shapes: B images, N_b regions of image b, R regions of a batch, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.ops import batched_nms
from visuite.engine.structures import InstanceData


def bbox2roi(bbox_list: Sequence[torch.Tensor]) -> torch.Tensor:
    """Write the boxes (N_b, 4) of each image as regions (R, 5) of the batch: the number of the image, then `xyxy`."""
    numbered = [torch.nn.functional.pad(boxes, (1, 0), value=float(index)) for index, boxes in enumerate(bbox_list)]
    return torch.cat(numbered)


def check_region_head(head: nn.Module, extractor: nn.Module, shared_head: nn.Module | None = None) -> None:
    """Compare the `in_channels` of a head for regions with the `out_channels` of what stands before it.

    Raises:
        ValueError: these differ.
    """
    before = extractor if shared_head is None else shared_head
    given, wanted = getattr(before, "out_channels", None), getattr(head, "in_channels", None)
    if given is not None and wanted is not None and given != wanted:
        raise ValueError(
            f"in_channels of {type(head).__name__} is {wanted}, but {type(before).__name__} gives features of {given} "
            "channels"
        )


def sample_regions(
    assigner: Any,
    sampler: Any,
    proposals: Sequence[InstanceData],
    batch_gt_instances: Sequence[InstanceData],
    batch_gt_instances_ignore: Sequence[InstanceData] | None,
    *,
    feats: Sequence[torch.Tensor] | None = None,
) -> list[Any]:
    """Assign the proposals of each image to its objects, and choose those that are learnt from.

    Args:
        assigner: Config-built; see `visuite.det.assign`.
        sampler: Config-built; see `visuite.det.sampling`.
        proposals: `bboxes` (N_b, 4) of each image.
        batch_gt_instances: Objects of each image.
        batch_gt_instances_ignore: Regions that are neither object nor background.
        feats: Maps (B, C, H_l, W_l), for samplers that look at the losses.

    Returns:
        One `SamplingResult` for each image.
    """
    chosen = []
    for index, (found, truth) in enumerate(zip(proposals, batch_gt_instances, strict=True)):
        priors = InstanceData(priors=found.bboxes)
        ignored = None if batch_gt_instances_ignore is None else batch_gt_instances_ignore[index]
        assigned = assigner.assign(priors, truth, ignored)
        own = None if feats is None else [one[index : index + 1] for one in feats]
        chosen.append(sampler.sample(assigned, priors, truth, feats=own))
    return chosen


def multiclass_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    *,
    score_thr: float,
    nms_cfg: Mapping[str, Any],
    max_num: int = -1,
) -> tuple[InstanceData, torch.Tensor]:
    """Choose objects among regions that have a score, and perhaps a box, for each class.

    Args:
        boxes: (R, 4), or (R, K * 4), a box for each class.
        scores: (R, K).
        score_thr: Scores up to this are no objects.
        nms_cfg: See `visuite.cv.ops.batched_nms`.
        max_num: If positive, how many to keep at most.

    Returns:
        The objects: `bboxes` (N, 4), `scores` (N,) and `labels` (N,), the best first; and their regions (N,).
    """
    region, label = (scores > score_thr).nonzero(as_tuple=True)
    per_class = boxes.unflatten(1, (-1, 4))
    chosen = per_class[region, label if per_class.shape[1] > 1 else torch.zeros_like(label)]
    dets, kept = batched_nms(chosen, scores[region, label], label, nms_cfg)
    if max_num > 0:
        dets, kept = dets[:max_num], kept[:max_num]
    return InstanceData(bboxes=dets[:, :4], scores=dets[:, 4], labels=label[kept]), region[kept]
