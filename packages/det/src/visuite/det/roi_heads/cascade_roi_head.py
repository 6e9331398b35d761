"""A head for regions that looks at each of them several times, every time at the box that came out before.

Shapes: B images, L levels, C channels, T stages, R regions of the batch, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.det.registry import MODELS, TASK_UTILS
from visuite.det.roi_heads.regions import bbox2roi, check_region_head, sample_regions
from visuite.det.structures import DetDataSample, unpack_gt_instances
from visuite.engine.model import BaseModule, ModuleList
from visuite.engine.structures import InstanceData

Part = Mapping[str, Any] | nn.Module
Parts = Part | Sequence[Part]
Features = Sequence[torch.Tensor]
Samples = Sequence[DetDataSample]


@MODELS.register_module()
class CascadeRoIHead(BaseModule):
    """Stages of box heads, each trained on what the stage before gives (Cai and Vasconcelos, arXiv:1712.00726).

    Every part is one config, of which each stage has its own copy, or a list of them.

    Args:
        num_stages: T.
        stage_loss_weights: What the losses of each stage are multiplied by.
        bbox_roi_extractor: Maps and regions to features, for the box heads.
        bbox_head: Features to classes and boxes.
        mask_roi_extractor: The same for the mask heads; without it, both see features of one extractor.
        mask_head: Features to masks.
        shared_head: Not supported, as in the paper.
        train_cfg: `assigner`, `sampler`, `pos_weight`, `mask_size` of each stage.
        test_cfg: `score_thr`, `nms`, `max_per_img`, `mask_thr_binary`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: lists whose length is not T, a `shared_head`, one ready-made part for several stages, or heads that
            are for other channels than they get.
    """

    def __init__(
        self,
        num_stages: int,
        stage_loss_weights: Sequence[float],
        *,
        bbox_roi_extractor: Parts | None = None,
        bbox_head: Parts | None = None,
        mask_roi_extractor: Parts | None = None,
        mask_head: Parts | None = None,
        shared_head: Part | None = None,
        train_cfg: Sequence[Mapping[str, Any]] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if shared_head is not None:
            raise ValueError("CascadeRoIHead has no shared_head: its stages share nothing but the features")
        if len(stage_loss_weights) != num_stages:
            raise ValueError(f"{len(stage_loss_weights)} stage_loss_weights for {num_stages} stages")
        if train_cfg is not None and len(train_cfg) != num_stages:
            raise ValueError(f"train_cfg.rcnn has settings for {len(train_cfg)} stages, there are {num_stages}")
        self.num_stages, self.stage_loss_weights = num_stages, tuple(stage_loss_weights)
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        if bbox_head is not None:
            self.bbox_roi_extractor = self._stages(bbox_roi_extractor, "bbox_roi_extractor")
            self.bbox_head = self._stages(bbox_head, "bbox_head")
            for head, extractor in zip(self.bbox_head, self.bbox_roi_extractor, strict=True):
                check_region_head(head, extractor)
        if mask_head is not None:
            self.mask_head = self._stages(mask_head, "mask_head")
            own = mask_roi_extractor is not None
            self.mask_roi_extractor = (
                self._stages(mask_roi_extractor, "mask_roi_extractor") if own else self.bbox_roi_extractor
            )
            for head, extractor in zip(self.mask_head, self.mask_roi_extractor, strict=True):
                check_region_head(head, extractor)
        if train_cfg is not None:
            self.bbox_assigner = [TASK_UTILS.build(one["assigner"]) for one in train_cfg]
            self.bbox_sampler = [
                TASK_UTILS.build(one["sampler"], default_args={"context": _Stage(self, stage)})
                for stage, one in enumerate(train_cfg)
            ]

    def _stages(self, parts: Parts | None, name: str) -> ModuleList:
        """Build a part for each stage."""
        if isinstance(parts, nn.Module) and self.num_stages > 1:
            kind = type(parts).__name__
            raise ValueError(f"{name} is one ready-made {kind}, which all stages would share: give a list")
        each = list(parts) if isinstance(parts, Sequence) else [parts] * self.num_stages
        if len(each) != self.num_stages:
            raise ValueError(f"{len(each)} configs of {name} for {self.num_stages} stages")
        return ModuleList([MODELS.build(one) for one in each])

    @property
    def with_bbox(self) -> bool:
        """Whether there are box heads."""
        return hasattr(self, "bbox_head")

    @property
    def with_mask(self) -> bool:
        """Whether there are mask heads."""
        return hasattr(self, "mask_head")

    # ------------------------------------------------------------------ what a detector asks for

    def forward(
        self, x: Features, rpn_results_list: Sequence[InstanceData], batch_data_samples: Samples
    ) -> tuple[torch.Tensor, ...]:
        """Return the scores and boxes of each stage, then, if there are mask heads, masks of the first 100 regions."""
        metas = [sample.metainfo for sample in batch_data_samples]
        rois, scores, boxes = self._refine(x, [found.bboxes for found in rpn_results_list], metas)
        out = [one for pair in zip(scores, boxes, strict=True) for one in pair]
        if self.with_mask:
            out += [self.mask_forward(stage, x, rois[:100]) for stage in range(self.num_stages)]
        return tuple(out)

    def loss(
        self, x: Features, rpn_results_list: Sequence[InstanceData], batch_data_samples: Samples
    ) -> dict[str, torch.Tensor]:
        """Return the losses of all stages, as `s0.loss_cls`, `s0.acc`, `s0.loss_bbox`, `s0.loss_mask`, `s1...`."""
        truth, ignored, metas = unpack_gt_instances(batch_data_samples)
        assert self.train_cfg is not None
        losses: dict[str, torch.Tensor] = {}
        proposals = list(rpn_results_list)
        for stage, (weight, cfg) in enumerate(zip(self.stage_loss_weights, self.train_cfg, strict=True)):
            assigner, sampler = self.bbox_assigner[stage], self.bbox_sampler[stage]
            chosen = sample_regions(assigner, sampler, proposals, truth, ignored, feats=x)
            rois = bbox2roi([one.priors for one in chosen])
            cls_score, bbox_pred, _ = self.bbox_forward(stage, x, rois)
            head: Any = self.bbox_head[stage]
            found = dict(head.loss_and_target(cls_score, bbox_pred, rois, chosen, cfg))
            if self.with_mask:
                masks = self.mask_forward(stage, x, bbox2roi([one.pos_priors for one in chosen]))
                mask_head: Any = self.mask_head[stage]
                found.update(mask_head.loss_and_target(masks, chosen, truth, cfg))
            for name, value in found.items():
                losses[f"s{stage}.{name}"] = value * weight if "loss" in name else value
            if stage < self.num_stages - 1:
                with torch.no_grad():
                    proposals = head.refine_bboxes(chosen, cls_score, bbox_pred, metas)
        return losses

    def predict(
        self,
        x: Features,
        rpn_results_list: Sequence[InstanceData],
        batch_data_samples: Samples,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Return the objects of each image: `bboxes`, `scores`, `labels`, and perhaps `masks`, the best first.

        Scores are those of the stages' mean logits, boxes are the last one's, and masks the mean of all mask heads'.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        counts = [len(found) for found in rpn_results_list]
        rois, scores, boxes = self._refine(x, [found.bboxes for found in rpn_results_list], metas)
        mean = self._head(-1).scores_of(torch.stack(scores).mean(dim=0))
        parts = zip(rois.split(counts), mean.split(counts), boxes[-1].split(counts), metas, strict=True)
        own_size = rescale and not self.with_mask
        found = [self._head(-1).predict_by_feat(*part, cfg=self.test_cfg, rescale=own_size) for part in parts]
        return self.predict_mask(x, metas, found, rescale=rescale) if self.with_mask else found

    def predict_mask(
        self,
        x: Features,
        batch_img_metas: Sequence[Mapping[str, Any]],
        results_list: Sequence[InstanceData],
        *,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Give the objects of each image, with boxes in the size of the input, the mean masks of all stages."""
        rois = bbox2roi([found.bboxes for found in results_list])
        every = [self.mask_forward(stage, x, rois).float().sigmoid() for stage in range(self.num_stages)]
        parts = torch.stack(every).mean(dim=0).split([len(found) for found in results_list])
        head: Any = self.mask_head[-1]
        return head.predict_by_feat(
            parts, results_list, batch_img_metas, self.test_cfg, rescale=rescale, activate_map=True
        )

    # ------------------------------------------------------------------ one stage

    def bbox_forward(self, stage: int, x: Features, rois: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return scores, boxes and features of regions (R, 5) in one stage."""
        extractor: Any = self.bbox_roi_extractor[stage]
        features = extractor(x[: extractor.num_inputs], rois)
        return (*self.bbox_head[stage](features), features)

    def mask_forward(self, stage: int, x: Features, rois: torch.Tensor) -> torch.Tensor:
        """Return mask logits of regions (R, 5) in one stage."""
        extractor: Any = self.mask_roi_extractor[stage]
        return self.mask_head[stage](extractor(x[: extractor.num_inputs], rois))

    def _head(self, stage: int) -> Any:
        return self.bbox_head[stage]

    def _refine(
        self, x: Features, proposals: Sequence[torch.Tensor], metas: Sequence[Mapping[str, Any]]
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Return the regions (R, 5) that the last stage looks at, and scores and boxes of every stage."""
        counts = [len(one) for one in proposals]
        rois, scores, boxes = bbox2roi(proposals), [], []
        for stage in range(self.num_stages):
            cls_score, bbox_pred, _ = self.bbox_forward(stage, x, rois)
            scores.append(cls_score)
            boxes.append(bbox_pred)
            if stage < self.num_stages - 1:
                head = self._head(stage)
                label = head.scores_of(cls_score)[:, :-1].argmax(dim=1)
                parts = zip(rois.split(counts), label.split(counts), bbox_pred.split(counts), metas, strict=True)
                rois = bbox2roi([head.regress_by_class(roi[:, 1:], *rest) for roi, *rest in parts])
        return rois, scores, boxes


class _Stage:
    """One stage of a cascade as samplers see a head: with `bbox_head` and `bbox_forward(x, rois)`."""

    def __init__(self, cascade: CascadeRoIHead, stage: int) -> None:
        self._cascade, self._number = cascade, stage

    @property
    def bbox_head(self) -> Any:
        """The box head of the stage."""
        return self._cascade.bbox_head[self._number]

    def bbox_forward(self, x: Features, rois: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return scores, boxes and features of regions (R, 5)."""
        return self._cascade.bbox_forward(self._number, x, rois)
