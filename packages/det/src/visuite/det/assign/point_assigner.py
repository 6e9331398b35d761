"""Objects to the points nearest to their centres, on the level of their size. Yang et al., RepPoints, arXiv:1904.11490.

Shapes: P points, G objects of one image, g objects of a chunk, K points of an object.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign.pairs import best_pairs, box_centres, pair_up
from visuite.det.assign.result import AssignResult
from visuite.det.assign.sweep import object_chunks
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


@TASK_UTILS.register_module()
class PointAssigner:
    """An object gets the `pos_num` points of its level that are nearest in parts of its width and height; a point that
    several get belongs to the nearest.

    Objects are looked at a chunk at a time: memory is bound by a few matrices of 16 MiB.

    Args:
        scale: An object whose edges are `scale` times `2 ** n` belongs on the level of stride `2 ** n`.
        pos_num: Points that an object gets.
    """

    def __init__(self, scale: float = 4, pos_num: int = 3) -> None:
        self.scale = scale
        self.pos_num = pos_num

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign the points of one image.

        Args:
            pred_instances: `priors` (P, 3), points and strides (x, y, stride), or more columns.
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: Without effect.
            kwargs: Without effect.

        Returns:
            Without `max_overlaps`.
        """
        points, boxes = pred_instances.priors, gt_instances.bboxes
        if not len(points) or not len(boxes):
            return AssignResult.of(
                torch.zeros(len(points), dtype=torch.long, device=points.device), gt_instances.labels
            )
        levels = points[:, 2].log2().int()
        sizes = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)
        own = (sizes / self.scale).log2().mean(dim=1).int().clamp(levels.min(), levels.max())
        nearest, distances = [], []
        for part in object_chunks(len(boxes), len(points)):
            x, y = ((points[:, :2].T - box_centres(boxes[part])[:, :, None]) / sizes[part, :, None]).unbind(1)
            away = (x**2 + y**2).sqrt().masked_fill(levels != own[part, None], torch.inf)
            found = away.topk(min(self.pos_num, len(points)), dim=1, largest=False)
            nearest.append(found.indices)
            distances.append(found.values.flatten())
        near, objects = pair_up(torch.cat(nearest))
        away = torch.cat(distances)
        there = away.isfinite()  # a level may have fewer points
        gt_inds, _ = best_pairs(near[there], objects[there], -away[there], len(points))
        return AssignResult.of(gt_inds, gt_instances.labels)
