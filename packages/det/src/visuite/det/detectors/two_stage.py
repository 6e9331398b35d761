"""Detectors that look twice: a dense head proposes regions, and a second head judges each of them.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from visuite.cv.necks.base import told_maps
from visuite.det.detectors.base import BaseDetector, Features, Part, Samples, build_with, check_channels
from visuite.det.registry import MODELS
from visuite.det.roi_heads.extractor import SingleRoIExtractor
from visuite.engine.structures import InstanceData


class TwoStageDetector(BaseDetector):
    """Features, a head that proposes, and a head for regions (Ren et al., arXiv:1506.01497), by the names in `NAMES`.

    Args:
        backbone: Images to maps.
        neck: Maps to maps.
        rpn_head: Maps to proposals; without it, samples bring their `proposals`.
        roi_head: Maps and proposals to losses and objects.
        train_cfg: `rpn`, `rpn_proposal` and `rcnn`: settings of the heads while training.
        test_cfg: `rpn` and `rcnn`: their settings while predicting.
        data_preprocessor: Config or object.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: parts that are for other channels than they get.
    """

    def __init__(
        self,
        backbone: Part,
        neck: Part | None = None,
        *,
        rpn_head: Part | None = None,
        roi_head: Part | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.train_cfg, self.test_cfg = dict(train_cfg or {}), dict(test_cfg or {})
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        if rpn_head is not None:
            agnostic = {**rpn_head, "num_classes": 1} if isinstance(rpn_head, Mapping) else rpn_head
            self.rpn_head = build_with(agnostic, train_cfg=self.train_cfg.get("rpn"), test_cfg=self.test_cfg.get("rpn"))
        if roi_head is not None:
            settings = {"train_cfg": self.train_cfg.get("rcnn"), "test_cfg": self.test_cfg.get("rcnn")}
            self.roi_head = build_with(roi_head, **settings)
            given = told_maps(self.backbone, getattr(self, "neck", None))
            for part in self.roi_head.modules():
                if isinstance(part, SingleRoIExtractor) and given is not None:
                    part.check_maps(given.channels)
        check_channels(self.backbone, getattr(self, "neck", None), getattr(self, "rpn_head", None))

    @property
    def with_rpn(self) -> bool:
        """Whether the detector proposes regions itself."""
        return hasattr(self, "rpn_head")

    @property
    def with_roi_head(self) -> bool:
        """Whether there is a head for regions."""
        return hasattr(self, "roi_head")

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Samples) -> dict[str, Any]:
        """Return the losses of both heads for images (B, C, H, W)."""
        x = self.extract_feat(batch_inputs)
        losses: dict[str, Any] = {}
        if self.with_rpn:
            proposal_cfg = self.train_cfg.get("rpn_proposal", self.test_cfg.get("rpn"))
            first, proposals = self.rpn_head.loss_and_predict(
                x, class_agnostic(batch_data_samples), proposal_cfg=proposal_cfg
            )
            losses.update({name if "rpn" in name else f"rpn_{name}": value for name, value in first.items()})
        else:
            proposals = brought_proposals(batch_data_samples)
        losses.update(self.roi_head.loss(x, proposals, batch_data_samples))
        return losses

    def predict(self, batch_inputs: torch.Tensor, batch_data_samples: Samples, rescale: bool = True) -> list[Any]:
        """Return the samples of images (B, C, H, W) with `pred_instances`."""
        x = self.extract_feat(batch_inputs)
        found = self.roi_head.predict(x, self._proposals(x, batch_data_samples), batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, found)

    def tensors(self, batch_inputs: torch.Tensor, batch_data_samples: Samples | None = None) -> Any:
        """Return the maps of the first head for images (B, C, H, W) and, given samples, what the second says too."""
        x = self.extract_feat(batch_inputs)
        maps = self.rpn_head(x) if self.with_rpn else ()
        if batch_data_samples is None:
            return maps
        return (*maps, *self.roi_head(x, self._proposals(x, batch_data_samples, maps), batch_data_samples))

    def _proposals(self, x: Features, samples: Samples, maps: Any = ()) -> list[InstanceData]:
        """Return the regions of each image, in the input's size; `maps` are those of the first head, if it has run."""
        if all("proposals" in sample for sample in samples):
            return brought_proposals(samples)
        metas = [sample.metainfo for sample in samples]
        return self.rpn_head.predict_by_feat(*(maps or self.rpn_head(x)), batch_img_metas=metas)


def class_agnostic(samples: Samples) -> Samples:
    """Return samples whose objects are all of class 0, sharing everything else with the given ones."""
    plain = []
    for sample in samples:
        twin = copy.copy(sample)
        objects = copy.copy(sample.gt_instances)
        objects.labels = torch.zeros_like(objects.labels)
        twin.gt_instances = objects
        plain.append(twin)
    return plain


def brought_proposals(samples: Samples) -> list[InstanceData]:
    """Return the regions that the samples bring.

    Raises:
        ValueError: a sample has none.
    """
    missing = [index for index, sample in enumerate(samples) if sample.get("proposals") is None]
    if missing:
        raise ValueError(
            f"sample {missing[0]} of the batch has no proposals, and the detector has no rpn_head: load them "
            "(dict(type='LoadProposals')), or give it one"
        )
    return [sample.proposals for sample in samples]


#: Detectors that differ in their heads alone.
NAMES = ("CascadeRCNN", "FastRCNN", "FasterRCNN", "MaskRCNN", "TwoStageDetector")

MODELS.register_module(list(NAMES), module=TwoStageDetector)
