"""A head for regions that looks at each of them once.

Shapes: B images, L levels, C channels, N_b regions of image b, R regions of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.det.registry import MODELS, TASK_UTILS
from visuite.det.roi_heads.regions import bbox2roi, check_region_head, sample_regions
from visuite.det.structures import DetDataSample, unpack_gt_instances
from visuite.engine.model import BaseModule
from visuite.engine.structures import InstanceData

Part = Mapping[str, Any] | nn.Module
Features = Sequence[torch.Tensor]
Samples = Sequence[DetDataSample]


@MODELS.register_module()
class StandardRoIHead(BaseModule):
    """Extract the features of regions, and ask a box head and, if there is one, a mask head (arXiv:1703.06870).

    Args:
        bbox_roi_extractor: Maps and regions to features, for the box head.
        bbox_head: Features to classes and boxes.
        mask_roi_extractor: The same for the mask head; without it, both see the same features.
        mask_head: Features to masks.
        shared_head: Layers behind the extractors, used by both heads.
        train_cfg: `assigner`, `sampler`, `pos_weight`, `mask_size`.
        test_cfg: `score_thr`, `nms`, `max_per_img`, `mask_thr_binary`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: heads that are for other channels than they get.
    """

    def __init__(
        self,
        bbox_roi_extractor: Part | None = None,
        bbox_head: Part | None = None,
        *,
        mask_roi_extractor: Part | None = None,
        mask_head: Part | None = None,
        shared_head: Part | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        self.share_roi_extractor = mask_head is not None and mask_roi_extractor is None
        shared = None if shared_head is None else MODELS.build(shared_head)
        if shared is not None:
            self.shared_head = shared
        if bbox_head is not None:
            self.bbox_roi_extractor = MODELS.build(bbox_roi_extractor)
            self.bbox_head = MODELS.build(bbox_head)
            check_region_head(self.bbox_head, self.bbox_roi_extractor, shared)
        if mask_head is not None:
            self.mask_head = MODELS.build(mask_head)
            extractor = None if self.share_roi_extractor else MODELS.build(mask_roi_extractor)
            self.mask_roi_extractor = self.bbox_roi_extractor if extractor is None else extractor
            check_region_head(self.mask_head, self.mask_roi_extractor, shared)
        if train_cfg is not None:
            self.bbox_assigner = TASK_UTILS.build(train_cfg["assigner"])
            self.bbox_sampler = TASK_UTILS.build(train_cfg["sampler"], default_args={"context": self})

    @property
    def with_bbox(self) -> bool:
        """Whether there is a box head."""
        return hasattr(self, "bbox_head")

    @property
    def with_mask(self) -> bool:
        """Whether there is a mask head."""
        return hasattr(self, "mask_head")

    @property
    def with_shared_head(self) -> bool:
        """Whether there are layers behind the extractors."""
        return hasattr(self, "shared_head")

    # ------------------------------------------------------------------ what a detector asks for

    def forward(
        self, x: Features, rpn_results_list: Sequence[InstanceData], batch_data_samples: Samples | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Return the scores and boxes of the proposals and, if there is a mask head, masks of the first 100."""
        rois = bbox2roi([found.bboxes for found in rpn_results_list])
        cls_score, bbox_pred, _ = self.bbox_forward(x, rois)
        return (cls_score, bbox_pred, self.mask_forward(x, rois[:100])) if self.with_mask else (cls_score, bbox_pred)

    def loss(
        self, x: Features, rpn_results_list: Sequence[InstanceData], batch_data_samples: Samples
    ) -> dict[str, torch.Tensor]:
        """Return the losses of maps (B, C, H_l, W_l) and the proposals of each image."""
        truth, ignored, _ = unpack_gt_instances(batch_data_samples)
        chosen = sample_regions(self.bbox_assigner, self.bbox_sampler, rpn_results_list, truth, ignored, feats=x)
        losses: dict[str, torch.Tensor] = {}
        rois = bbox2roi([one.priors for one in chosen])
        features = None
        if self.with_bbox:
            cls_score, bbox_pred, features = self.bbox_forward(x, rois)
            losses.update(self.bbox_head.loss_and_target(cls_score, bbox_pred, rois, chosen, self.train_cfg))
        if self.with_mask:
            masks = self._masks_of_objects(x, chosen, features)
            losses.update(self.mask_head.loss_and_target(masks, chosen, truth, self.train_cfg))
        return losses

    def predict(
        self,
        x: Features,
        rpn_results_list: Sequence[InstanceData],
        batch_data_samples: Samples,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Return the objects of each image: `bboxes`, `scores`, `labels`, and perhaps `masks`, the best first."""
        metas = [sample.metainfo for sample in batch_data_samples]
        found = self.predict_bbox(x, metas, rpn_results_list, rescale=rescale and not self.with_mask)
        return self.predict_mask(x, metas, found, rescale=rescale) if self.with_mask else found

    # ------------------------------------------------------------------ boxes

    def bbox_forward(self, x: Features, rois: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return scores, boxes and features of regions (R, 5)."""
        features = self._behind(self.bbox_roi_extractor(x[: self.bbox_roi_extractor.num_inputs], rois))
        return (*self.bbox_head(features), features)

    def predict_bbox(
        self,
        x: Features,
        batch_img_metas: Sequence[Mapping[str, Any]],
        rpn_results_list: Sequence[InstanceData],
        rcnn_test_cfg: Mapping[str, Any] | None = None,
        *,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Return the objects of each image among its proposals."""
        cfg = self.test_cfg if rcnn_test_cfg is None else rcnn_test_cfg
        rois = bbox2roi([found.bboxes for found in rpn_results_list])
        cls_score, bbox_pred, _ = self.bbox_forward(x, rois)
        counts = [len(found) for found in rpn_results_list]
        boxes = [None] * len(counts) if bbox_pred is None else bbox_pred.split(counts)
        parts = zip(
            rois.split(counts), self.bbox_head.scores_of(cls_score).split(counts), boxes, batch_img_metas, strict=True
        )
        return [self.bbox_head.predict_by_feat(*part, cfg=cfg, rescale=rescale) for part in parts]

    # ------------------------------------------------------------------ masks

    def mask_forward(self, x: Features, rois: torch.Tensor) -> torch.Tensor:
        """Return mask logits of regions (R, 5)."""
        return self.mask_head(self._behind(self.mask_roi_extractor(x[: self.mask_roi_extractor.num_inputs], rois)))

    def _masks_of_objects(self, x: Features, chosen: Sequence[Any], features: torch.Tensor | None) -> torch.Tensor:
        """Return mask logits of the sampled regions with an object."""
        if not self.share_roi_extractor or features is None:
            return self.mask_forward(x, bbox2roi([one.pos_priors for one in chosen]))
        flags = [torch.arange(len(one.priors), device=features.device) < len(one.pos_priors) for one in chosen]
        return self.mask_head(features[torch.cat(flags)])

    def predict_mask(
        self,
        x: Features,
        batch_img_metas: Sequence[Mapping[str, Any]],
        results_list: Sequence[InstanceData],
        *,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Give the objects of each image, with boxes in the size of the input, their masks."""
        masks = self.mask_forward(x, bbox2roi([found.bboxes for found in results_list]))
        parts = masks.split([len(found) for found in results_list])
        return self.mask_head.predict_by_feat(parts, results_list, batch_img_metas, self.test_cfg, rescale=rescale)

    def _behind(self, features: torch.Tensor) -> torch.Tensor:
        return self.shared_head(features) if self.with_shared_head else features
