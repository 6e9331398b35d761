"""Dense heads over anchor boxes: each anchor has a class and an offset to its object.

Shapes: B images, C channels of the features, A anchors at each place, P anchors of all levels, K classes, K' scores for
each anchor (K, and one for background unless scores are sigmoids).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.det.heads.anchor_targets import AnchorTargets, anchor_targets
from visuite.det.heads.dense import Cfg, DenseHead, DenseOutputs, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels, level_numbers, map_sizes, mean_over_ranks, usable_priors
from visuite.det.registry import MODELS, TASK_UTILS
from visuite.engine.structures import InstanceData

PSEUDO_SAMPLER: Cfg = {"type": "PseudoSampler"}


@MODELS.register_module()
class AnchorHead(DenseHead):
    """One convolution for classes and one for offsets; the base of heads with more layers.

    Args:
        num_classes: K.
        in_channels: C.
        feat_channels: Channels of the layers before the last.
        anchor_generator: Config or object; makes the anchors of each level.
        bbox_coder: Config or object; writes boxes as offsets to anchors.
        reg_decoded_bbox: The box loss compares boxes, not offsets: for losses of overlap.
        loss_cls: Config or object.
        loss_bbox: Config or object.
        train_cfg: `assigner`, perhaps `sampler`, `allowed_border` (-1: anchors may leave the image) and `pos_weight`.
        test_cfg: See `DenseHead`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        feat_channels: int = 256,
        anchor_generator: Cfg | Any = {  # noqa: B006 (read only, as the next)
            "type": "AnchorGenerator",
            "scales": [8, 16, 32],
            "ratios": [0.5, 1.0, 2.0],
            "strides": [4, 8, 16, 32, 64],
        },
        bbox_coder: Cfg | Any = {"type": "DeltaXYWHBBoxCoder", "clip_border": True},  # noqa: B006
        reg_decoded_bbox: bool = False,
        loss_cls: Cfg | nn.Module = {"type": "CrossEntropyLoss", "use_sigmoid": True},  # noqa: B006
        loss_bbox: Cfg | nn.Module = {"type": "SmoothL1Loss", "beta": 1.0 / 9.0},  # noqa: B006
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = {"type": "Normal", "layer": "Conv2d", "std": 0.01},  # noqa: B006
    ) -> None:
        super().__init__(train_cfg=train_cfg, test_cfg=test_cfg, init_cfg=init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.reg_decoded_bbox = reg_decoded_bbox
        self.prior_generator = TASK_UTILS.build(anchor_generator)
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.loss_cls = MODELS.build(loss_cls)
        self.loss_bbox = MODELS.build(loss_bbox)
        self.use_sigmoid_cls = bool(getattr(self.loss_cls, "use_sigmoid", False))
        self.cls_out_channels = num_classes + (not self.use_sigmoid_cls)
        self.num_base_priors = self.prior_generator.num_base_priors[0]
        if "assigner" in self.train_cfg:
            self.assigner = TASK_UTILS.build(self.train_cfg["assigner"])
            self.sampler = TASK_UTILS.build(
                self.train_cfg.get("sampler") or PSEUDO_SAMPLER, default_args={"context": self}
            )
        self.make_layers()

    def make_layers(self) -> None:
        """Make the layers; a subclass has its own."""
        self.conv_cls = nn.Conv2d(self.in_channels, self.num_base_priors * self.cls_out_channels, 1)
        self.conv_reg = nn.Conv2d(self.in_channels, self.num_base_priors * 4, 1)

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C, H_l, W_l) into maps of scores (B, A * K', H_l, W_l) and offsets (B, A * 4, H_l, W_l)."""
        scores, offsets = zip(*(self.forward_single(x) for x in feats), strict=True)
        return list(scores), list(offsets)

    def forward_single(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn the features (B, C, H, W) of one level into its scores and offsets."""
        return self.conv_cls(x), self.conv_reg(x)

    def loss_by_feat(
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        *,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls` and `loss_bbox`.

        Args:
            cls_scores: (B, A * K', H_l, W_l) of each level.
            bbox_preds: (B, A * 4, H_l, W_l) of each level.
            batch_gt_instances: `bboxes` (G, 4) and `labels` (G,) of each image.
            batch_img_metas: `img_shape` and `pad_shape` of each image.
            batch_gt_instances_ignore: Regions of each image that are neither object nor background.
        """
        priors, _ = self.priors(cls_scores)
        targets = self.targets(
            priors, map_sizes(cls_scores), batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
        )
        scores = flatten_levels(cls_scores, self.cls_out_channels)
        offsets = flatten_levels(bbox_preds, 4)[targets.positive]
        if self.reg_decoded_bbox:
            offsets = self.bbox_coder.decode(priors.expand(len(scores), -1, -1)[targets.positive], offsets)
        count = mean_over_ranks(targets.avg_factor, like=scores)
        return {
            "loss_cls": self.loss_cls(
                scores.flatten(0, 1), targets.labels.flatten(), targets.label_weights.flatten(), avg_factor=count
            ),
            "loss_bbox": self.loss_bbox(offsets, targets.boxes, avg_factor=count),
        }

    def read(self, cls_scores: Maps, bbox_preds: Maps) -> DenseOutputs:
        """Read scores (B, A * K', H_l, W_l) and offsets (B, A * 4, H_l, W_l)."""
        scores = flatten_levels(cls_scores, self.cls_out_channels)
        scores = scores.sigmoid() if self.use_sigmoid_cls else scores.softmax(dim=-1)[..., :-1]
        priors, sizes = self.priors(cls_scores)
        return DenseOutputs(scores, flatten_levels(bbox_preds, 4), priors, sizes)

    def priors(self, maps: Maps) -> tuple[torch.Tensor, list[int]]:
        """Return the anchors (P, 4) of maps, and how many each level has."""
        levels = self.prior_generator.grid_priors(map_sizes(maps), dtype=torch.float32, device=maps[0].device)
        return torch.cat(levels), [len(level) for level in levels]

    def targets(
        self,
        priors: torch.Tensor,
        sizes: Sequence[tuple[int, int]],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None,
    ) -> AnchorTargets:
        """Assign anchors (P, 4) to the objects of each image.

        Raises:
            ValueError: the head was given no assigner.
        """
        if not hasattr(self, "assigner"):
            raise ValueError(f"{type(self).__name__} cannot be trained: its train_cfg has no assigner")
        border = self.train_cfg.get("allowed_border", -1)
        return anchor_targets(
            priors,
            usable_priors(self.prior_generator, sizes, batch_img_metas, priors=priors, allowed_border=border),
            batch_gt_instances,
            batch_gt_instances_ignore,
            assign=self.assign,
            sample=self.sampler.sample,
            encode=None if self.reg_decoded_bbox else self.bbox_coder.encode,
            num_classes=self.num_classes,
            pos_weight=self.train_cfg.get("pos_weight", -1),
            fields={"levels": level_numbers(sizes, self.prior_generator.num_base_priors, priors.device)},
        )

    def assign(self, priors: InstanceData, objects: InstanceData, ignored: InstanceData | None) -> Any:
        """Assign the priors of an image to its objects."""
        return self.assigner.assign(priors, objects, ignored)
