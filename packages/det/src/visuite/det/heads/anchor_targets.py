"""What each anchor must say: its class, and the box of its object.

Shapes: B images, P priors, K classes, G objects of an image, D numbers that a box is written in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from visuite.engine.structures import InstanceData

Assign = Callable[[InstanceData, InstanceData, InstanceData | None], Any]
Sample = Callable[[Any, InstanceData, InstanceData], Any]
Encode = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class AnchorTargets:
    """The truth of a batch, prior by prior.

    Attributes:
        labels: (B, P) long; K is background.
        label_weights: (B, P), 0 where a prior is neither object nor background.
        positive: (B, P) bool, where a prior belongs to an object.
        boxes: (N, D), for the N positive priors in the order of `positive.nonzero()`: the object's box, encoded.
        objects: (N,) long, the number of that object in its image.
        overlaps: (N,), how much of it the assigner saw covered: by the prior, or by the box predicted there.
        avg_factor: How many priors count, summed over the images.
    """

    labels: torch.Tensor
    label_weights: torch.Tensor
    positive: torch.Tensor
    boxes: torch.Tensor
    objects: torch.Tensor
    overlaps: torch.Tensor
    avg_factor: float


def anchor_targets(
    priors: torch.Tensor,
    usable: torch.Tensor,
    batch_gt_instances: Sequence[InstanceData],
    batch_gt_instances_ignore: Sequence[InstanceData] | None,
    *,
    assign: Assign,
    sample: Sample,
    encode: Encode | None,
    num_classes: int,
    pos_weight: float = -1,
    fields: Mapping[str, torch.Tensor] | None = None,
) -> AnchorTargets:
    """Assign the priors of each image to its objects, and write down what follows.

    Args:
        priors: Boxes (P, 4), or whatever the assigner takes.
        usable: (B, P), see `levels.usable_priors`.
        batch_gt_instances: `bboxes` (G, 4) and `labels` (G,) of each image.
        batch_gt_instances_ignore: `bboxes` of regions that are neither object nor background.
        assign: `(priors, objects, ignored)` to an `AssignResult`.
        sample: `(assigned, priors, objects)` to a `SamplingResult`: which of the assigned count.
        encode: `(priors, boxes)`, both (N, 4), to what is regressed (N, D); by default the boxes themselves.
        num_classes: K.
        pos_weight: The weight of a prior that belongs to an object; 1 if not positive.
        fields: What else the assigner looks at, (P,) or (B, P, ...) each: levels, predicted scores and boxes.
    """
    shape = usable.shape
    labels = torch.full(shape, num_classes, dtype=torch.long, device=priors.device)
    weights = priors.new_zeros(shape)
    positive = torch.zeros(shape, dtype=torch.bool, device=priors.device)
    boxes, objects, overlaps, avg_factor = [], [], [], 0.0
    for index, truth in enumerate(batch_gt_instances):
        places = usable[index].nonzero().squeeze(1)
        some = InstanceData(priors=priors[places])
        for name, values in (fields or {}).items():
            some[name] = values[places] if values.ndim == 1 else values[index, places]
        ignored = None if batch_gt_instances_ignore is None else batch_gt_instances_ignore[index]
        assigned = assign(some, truth, ignored)
        chosen = sample(assigned, some, truth)
        avg_factor += chosen.avg_factor
        found, order = places[chosen.pos_inds].sort()  # in the order that `positive` has
        labels[index, found] = chosen.pos_gt_labels[order]
        weights[index, found] = pos_weight if pos_weight > 0 else 1.0
        weights[index, places[chosen.neg_inds]] = 1.0
        positive[index, found] = True
        box = chosen.pos_gt_bboxes[order]
        boxes.append(box if encode is None else encode(priors[found], box))
        objects.append(chosen.pos_assigned_gt_inds[order])
        overlaps.append(assigned.max_overlaps[chosen.pos_inds][order])
    per_object = (torch.cat(boxes), torch.cat(objects), torch.cat(overlaps))
    return AnchorTargets(labels, weights, positive, *per_object, avg_factor)


def by_level(assigner: Any, num_levels: int) -> Assign:
    """Return the call of an assigner that wants to know how many of the priors belong to each level.

    Args:
        assigner: `assign(priors, num_level_priors, objects, ignored)`.
        num_levels: How many levels there are; the priors have their numbers as `levels`.
    """

    def assign(priors: InstanceData, objects: InstanceData, ignored: InstanceData | None) -> Any:
        counts = priors.levels.bincount(minlength=num_levels).tolist()
        return assigner.assign(priors, counts, objects, ignored)

    return assign
