"""What heads over anchors share: maps that say class, box and objectness, and the losses of matched anchors.

Shapes: B images, L levels, C_l channels of level l, A anchors at each place, P anchors of all levels, K classes, N
objects of the batch, M pairs of an object and an anchor, R regions that do not count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.ops import bbox_overlaps, bbox_xyxy_to_cxcywh
from visuite.det.heads.dense import DenseOutputs
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes
from visuite.engine.model import BaseModule
from visuite.yolo.assign.batch import object_slices
from visuite.yolo.assign.ratio import Matches, match_by_ratio
from visuite.yolo.heads.dense import YOLODense, images_of_all
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]

#: The anchors of YOLOv5 for inputs of 640 pixels.
ANCHORS: Cfg = {
    "type": "det.YOLOAnchorGenerator",
    "base_sizes": [
        [(10, 13), (16, 30), (33, 23)],
        [(30, 61), (62, 45), (59, 119)],
        [(116, 90), (156, 198), (373, 326)],
    ],
    "strides": [8, 16, 32],
}
CODER: Cfg = {"type": "YOLOv5BBoxCoder"}
LOSS_CLS: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "mean", "loss_weight": 0.5}
LOSS_BBOX: Cfg = {
    "type": "IoULoss",
    "iou_mode": "ciou",
    "bbox_format": "xywh",
    "eps": 1e-7,
    "reduction": "mean",
    "loss_weight": 0.05,
    "return_iou": True,
}
LOSS_OBJ: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "mean", "loss_weight": 1.0}


class AnchorHeadModule(BaseModule):
    """The base of networks over anchors: one branch for each level, which ends in a 1x1 convolution.

    The channels of its map are those of one anchor after the other: box, objectness, classes, and what a subclass adds.

    Args:
        num_classes: K.
        in_channels: C_l before widening, one for each level or one for all.
        widen_factor: Factor of the channels.
        num_base_priors: A.
        featmap_strides: Input pixels per place of each level.
        init_cfg: How weights are initialised.
    """

    #: The lists of branches.
    branches: Sequence[str] = ("convs_pred",)

    def __init__(
        self,
        num_classes: int,
        in_channels: int | Sequence[int],
        *,
        widen_factor: float = 1.0,
        num_base_priors: int = 3,
        featmap_strides: Sequence[int] = (8, 16, 32),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        widths = [in_channels] * len(featmap_strides) if isinstance(in_channels, int) else in_channels
        self.num_classes, self.num_base_priors = num_classes, num_base_priors
        self.featmap_strides = tuple(featmap_strides)
        self.in_channels = [make_divisible(width, widen_factor) for width in widths]
        self.num_out_attrib = 5 + num_classes

    @property
    def out_channels(self) -> int:
        """Channels of the map of a level."""
        return self.num_base_priors * self.num_out_attrib

    def init_weights(self) -> None:
        """Initialise the weights: about 8 objects in an image of 640 pixels, and classes equally likely."""
        super().init_weights()
        for name in self.branches:
            for branch, stride in zip(getattr(self, name), self.featmap_strides, strict=True):
                conv = [part for part in branch.modules() if isinstance(part, nn.Conv2d)][-1]
                bias = conv.bias.detach().view(self.num_base_priors, -1)  # type: ignore[union-attr]
                bias[:, 4] = math.log(8 / (640 / stride) ** 2)
                bias[:, 5 : 5 + self.num_classes] = math.log(0.6 / (self.num_classes - 0.99))

    def split(self, maps: Maps) -> tuple[list[torch.Tensor], ...]:
        """Turn maps (B, A * D, H_l, W_l) into classes (B, A * K, ...), boxes (B, A * 4, ...), objectness (B, A, ...),
        and what a subclass adds.
        """
        sizes = [4, 1, self.num_classes]
        sizes += [self.num_out_attrib - sum(sizes)] if self.num_out_attrib > sum(sizes) else []
        levels = [one.unflatten(1, (self.num_base_priors, -1)).split(sizes, dim=2) for one in maps]
        boxes, objects, classes, *more = ([part.flatten(1, 2) for part in kind] for kind in zip(*levels, strict=True))
        return classes, boxes, objects, *more


@dataclass(frozen=True)
class AnchorLogits:
    """A batch of maps as rows.

    Attributes:
        scores: (B, P, K).
        boxes: (B, P, 4).
        objects: (B, P).
        sizes: (H_l, W_l) of each level.
    """

    scores: torch.Tensor
    boxes: torch.Tensor
    objects: torch.Tensor
    sizes: Sequence[tuple[int, int]]


class AnchorDense(YOLODense):
    """Anchors that say how surely there is an object, of which class, and where.

    All losses are means over a level, added up over the levels, times the images of all processes. Of several objects
    matched with an anchor, each counts for classes and boxes, and the last for objectness.

    Args:
        head_module: Config or object, an `AnchorHeadModule`.
        prior_generator: Anchors in the middle of each place, A at each level.
        bbox_coder: Sigmoids to boxes.
        loss_cls: Config or object; where there is one class, there is nothing to learn, and it is 0.
        loss_bbox: Config or object, over boxes as centre and size; returns the overlaps too.
        loss_obj: Config or object.
        prior_match_thr: Factor between the sides of an object and of anchors that it is matched with.
        near_neighbor_thr: How near the centre of an object is to the cells that take part beside its own, in cells.
        ignore_iof_thr: Boxes that lie, by more than this part of their area, in regions that do not count, are not
            background; below 0, no box.
        obj_level_weights: Weight of objectness at each level.
        train_cfg: See `YOLODense`.
        test_cfg: See `YOLODense`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: levels or anchors differ in number between the parts, or `loss_bbox` does not return overlaps.
    """

    def __init__(
        self,
        head_module: Any,
        *,
        prior_generator: Any = ANCHORS,
        bbox_coder: Any = CODER,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        loss_obj: Any = LOSS_OBJ,
        prior_match_thr: float = 4.0,
        near_neighbor_thr: float = 0.5,
        ignore_iof_thr: float = -1.0,
        obj_level_weights: Sequence[float] = (4.0, 1.0, 0.4),
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(
            head_module,
            prior_generator=prior_generator,
            bbox_coder=bbox_coder,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        self.loss_cls, self.loss_bbox, self.loss_obj = (MODELS.build(one) for one in (loss_cls, loss_bbox, loss_obj))
        self.prior_match_thr, self.near_neighbor_thr = prior_match_thr, near_neighbor_thr
        self.ignore_iof_thr = ignore_iof_thr
        self.obj_level_weights = tuple(obj_level_weights)
        self._check_parts()

    def _check_parts(self) -> None:
        levels, anchors = len(self.featmap_strides), self.head_module.num_base_priors
        if self.prior_generator.num_base_priors != [anchors] * levels:
            raise ValueError(
                f"head_module has {levels} levels and num_base_priors={anchors}, but prior_generator has anchors "
                f"{self.prior_generator.num_base_priors}"
            )
        if len(self.obj_level_weights) != levels:
            raise ValueError(f"obj_level_weights {self.obj_level_weights} for {levels} levels")
        if not getattr(self.loss_bbox, "return_iou", False):
            raise ValueError("loss_bbox needs return_iou=True: objectness learns the overlaps")

    # ------------------------------------------------------------------ what maps say

    def logits(self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps) -> AnchorLogits:
        """Turn maps into rows."""
        return AnchorLogits(
            flatten_levels(cls_scores, self.num_classes),
            flatten_levels(bbox_preds, 4),
            flatten_levels(objectnesses, 1).squeeze(-1),
            map_sizes(cls_scores),
        )

    def read(self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps, *more: Maps) -> DenseOutputs:
        """Read classes, boxes and objectness, which multiplies the first."""
        logits = self.logits(cls_scores, bbox_preds, objectnesses)
        return DenseOutputs(
            logits.scores.sigmoid(),
            logits.boxes.sigmoid(),
            self.places(cls_scores),
            [h * w * self.head_module.num_base_priors for h, w in logits.sizes],
            logits.objects.sigmoid(),
        )

    def decode_boxes(
        self, priors: torch.Tensor, boxes: torch.Tensor, max_shape: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return boxes (..., N, 4) of sigmoids (..., N, 4) at anchors with their strides (N, 6)."""
        return self.bbox_coder.decode(priors[..., :4], boxes, priors[..., 4])

    # ------------------------------------------------------------------ losses

    def match(self, rows: torch.Tensor, sizes: Sequence[tuple[int, int]], *, reach: float | None = None) -> Matches:
        """Match objects (N, 6) with anchors of like sides; `reach` in place of `near_neighbor_thr`."""
        near = self.near_neighbor_thr if reach is None else reach
        return match_by_ratio(rows, self.prior_generator, sizes, most=self.prior_match_thr, reach=near)

    def losses(
        self, logits: AnchorLogits, priors: torch.Tensor, matches: Matches, truth: BatchTruth
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_obj` and `loss_bbox` of what is said at anchors (P, 6)."""
        at = matches.images, matches.priors
        counts = matches.levels.bincount(minlength=len(logits.sizes))
        share = 1 / counts[matches.levels].to(priors)
        boxes = self.decode_boxes(priors[matches.priors], logits.boxes[at].sigmoid())
        pair = (bbox_xyxy_to_cxcywh(one) for one in (boxes, truth.rows[matches.objects, 2:]))
        loss_bbox, overlaps = self.loss_bbox(*pair, weight=share, reduction_override="sum")

        wanted = last_of_anchors(matches, overlaps.detach().clamp(min=0), logits.objects)
        weight = self._weights_of_objectness(logits, priors, wanted, truth)
        loss_obj = self.loss_obj(logits.objects, wanted, weight=weight, reduction_override="sum")

        if self.num_classes > 1:
            classes = F.one_hot(truth.rows[matches.objects, 1].long(), self.num_classes).to(priors)
            share = share / self.num_classes
            loss_cls = self.loss_cls(logits.scores[at], classes, weight=share, reduction_override="sum")
        else:
            loss_cls = logits.scores.sum() * 0
        images = images_of_all(len(logits.scores))
        return {"loss_cls": loss_cls * images, "loss_obj": loss_obj * images, "loss_bbox": loss_bbox * images}

    def _weights_of_objectness(
        self, logits: AnchorLogits, priors: torch.Tensor, wanted: torch.Tensor, truth: BatchTruth
    ) -> torch.Tensor:
        """Return what each anchor's objectness weighs (B, P)."""
        counts = torch.tensor([h * w * self.head_module.num_base_priors for h, w in logits.sizes], device=priors.device)
        each = priors.new_tensor(self.obj_level_weights) / counts / len(wanted)
        weights = each.repeat_interleave(counts, output_size=len(priors)).expand_as(wanted)
        if self.ignore_iof_thr < 0 or not truth.ignored.shape[1]:
            return weights
        boxes = self.decode_boxes(priors, logits.boxes.detach().sigmoid())
        return weights.masked_fill(in_regions(boxes, truth.ignored, self.ignore_iof_thr) & (wanted == 0), 0)


def last_of_anchors(matches: Matches, values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return at each anchor the value of the last pair that it stands in, of values (M,): (B, P), as `like`; else 0."""
    place = matches.images * like.shape[1] + matches.priors
    order = torch.arange(1, len(place) + 1, device=place.device)
    last = torch.zeros_like(like, dtype=torch.long).flatten().scatter_reduce(0, place, order, "amax")
    return torch.cat([values.new_zeros(1), values])[last].view_as(like)


def in_regions(boxes: torch.Tensor, regions: torch.Tensor, threshold: float) -> torch.Tensor:
    """Tell which boxes (B, P, 4) lie by more than a part of their area in a region (B, R, 4) of their image: (B, P)."""
    inside = torch.zeros(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    for part in object_slices(regions, boxes.shape[1]):
        inside |= bbox_overlaps(boxes, regions[:, part], mode="iof").amax(dim=-1) > threshold
    return inside
