"""Objects to the priors in their middle; small objects before large ones. Zhu et al., FSAF, arXiv:1903.00621.

Shapes: P priors, G objects of one image, g objects of a chunk, M pairs of a prior and a class.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign.pairs import box_centres, points_in_boxes
from visuite.det.assign.result import IGNORED, AssignResult
from visuite.det.assign.sweep import BOX_IOU, Cfg, IoUCalculator, object_chunks
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


def scale_boxes(boxes: torch.Tensor, scale: float) -> torch.Tensor:
    """Return boxes (G, 4) of `scale` times the edges, about the same centres."""
    middles, half = box_centres(boxes), (boxes[:, 2:] - boxes[:, :2]) * (scale / 2)
    return torch.cat((middles - half, middles + half), dim=1)


@TASK_UTILS.register_module()
class CenterRegionAssigner:
    """A prior inside an object belongs to it if it reaches into the object's core; the object's class does not count
    there if it reaches into the shadow alone. Of several cores, the smallest object's counts.

    Objects are compared a chunk at a time: memory is bound by a dozen matrices of 16 MiB.

    Args:
        pos_scale: The edges of the core, in parts of the object's.
        neg_scale: The edges of the shadow.
        min_pos_iof: A prior reaches into a region by more than this part of itself.
        ignore_gt_scale: The edges of the part of an ignored region where priors do not count.
        foreground_dominate: A prior in the core of one object and the shadow of another belongs to the first; else it
            does not count.
        iou_calculator: Config or object; called with the mode `iof`.

    Raises:
        ValueError: the core is larger than the shadow.
    """

    def __init__(
        self,
        pos_scale: float,
        neg_scale: float,
        *,
        min_pos_iof: float = 1e-2,
        ignore_gt_scale: float = 0.5,
        foreground_dominate: bool = False,
        iou_calculator: Cfg | IoUCalculator = BOX_IOU,
    ) -> None:
        if not 0 < pos_scale <= neg_scale:
            raise ValueError(f"the core lies in the shadow: 0 < pos_scale {pos_scale} <= neg_scale {neg_scale}")
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)
        self.core, self.shadow, self.ignored_middle = pos_scale, neg_scale, ignore_gt_scale
        self.min_pos_iof = min_pos_iof
        self.foreground_dominate = foreground_dominate

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign the priors of one image.

        Args:
            pred_instances: `priors` (P, 4).
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: `bboxes` of regions in whose middle priors do not count.
            kwargs: Without effect.

        Returns:
            Without `max_overlaps`. The extra property `shadowed_labels` (M, 2) has the priors, and the classes that do
            not count there.
        """
        priors, labels = pred_instances.priors, gt_instances.labels
        sizes = (gt_instances.bboxes[:, 2:] - gt_instances.bboxes[:, :2]).prod(dim=1)
        order = sizes.argsort(stable=True)  # the smallest first
        boxes = gt_instances.bboxes[order]
        none = len(boxes)
        owners = torch.full((len(priors),), none, dtype=torch.long, device=priors.device)
        shaded = torch.zeros_like(owners, dtype=torch.bool)
        shadows = torch.zeros(0, dtype=torch.long, device=priors.device)
        classes = int(labels.max()) + 1 if none else 1
        for part in object_chunks(none, len(priors)):
            core, shadow = self._regions(priors, boxes[part])
            ranks = torch.arange(part.start, part.stop, device=priors.device)[:, None]
            first = torch.where(core, ranks, none).amin(dim=0)
            owners = torch.minimum(owners, first)  # earlier chunks have smaller objects
            shaded |= shadow.any(dim=0)
            objects, places = (shadow | (core & (owners != ranks))).nonzero(as_tuple=True)
            shadows = torch.cat((shadows, places * classes + labels[order[part][objects]])).unique()
        found = owners < none
        gt_inds = torch.zeros_like(owners)
        gt_inds[found] = order[owners[found]] + 1
        if not self.foreground_dominate:
            gt_inds = gt_inds.masked_fill(found & shaded, IGNORED)
        if gt_instances_ignore is not None and len(gt_instances_ignore.bboxes):
            middle = scale_boxes(gt_instances_ignore.bboxes, self.ignored_middle)
            gt_inds = gt_inds.masked_fill(points_in_boxes(box_centres(priors), middle).any(dim=0), IGNORED)
        result = AssignResult.of(gt_inds, labels)
        result.set_extra_property("shadowed_labels", torch.stack((shadows // classes, shadows % classes), dim=1))
        return result

    def _regions(self, priors: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell which priors (P, 4) are in the core, and which in the shadow alone, of objects (g, 4): two of (g, P)."""
        core, shadow = (
            self.iou_calculator(priors, scale_boxes(boxes, scale), mode="iof").T for scale in (self.core, self.shadow)
        )
        core, shadow = core > self.min_pos_iof, shadow > self.min_pos_iof
        core &= points_in_boxes(box_centres(priors), boxes)
        return core, shadow & ~core
