"""YOLOX's head: classes, boxes and objectness, decoupled, and each object takes the places that suit it best
(Ge et al., arXiv:2107.08430).

Shapes: B images, C channels of the features, P places of all levels, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from visuite.det.heads.dense import DenseOutputs
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes, mean_over_ranks
from visuite.det.heads.yolox_head import YOLOXLayers, YOLOXRows, simota_targets, yolox_losses
from visuite.det.sampling import PseudoSampler
from visuite.yolo.heads.dense import YOLODense
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS, TASK_UTILS

Cfg = Mapping[str, Any]

SUMMED_BCE: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "sum", "loss_weight": 1.0}


@MODELS.register_module()
class YOLOXHeadModule(YOLOXLayers):
    """Two stacks of convolutions for each level. Names of parameters: see `visuite.det.heads.yolox_head.YOLOXLayers`.

    Args:
        num_classes: K.
        in_channels: C before widening, one for each level or one for all.
        widen_factor: Factor of all channels.
        num_base_priors: Points at each place; there is one.
        feat_channels: Channels of the convolutions before widening.
        stacked_convs: Convolutions in each stack.
        featmap_strides: Input pixels per place of each level.
        use_depthwise: Convolutions are depthwise separable.
        dcn_on_last_conv: The last convolution of each stack is deformable.
        conv_bias: `auto` (where there is no norm), or whether convolutions have a bias.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        act_cfg: Config of their activations.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int | Sequence[int],
        *,
        widen_factor: float = 1.0,
        num_base_priors: int = 1,
        feat_channels: int = 256,
        stacked_convs: int = 2,
        featmap_strides: Sequence[int] = (8, 16, 32),
        use_depthwise: bool = False,
        dcn_on_last_conv: bool = False,
        conv_bias: bool | str = "auto",
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU", "inplace": True},  # noqa: B006
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_base_priors != 1:
            raise ValueError(f"there is one point at a place, not num_base_priors={num_base_priors}")
        widths = [in_channels] * len(featmap_strides) if isinstance(in_channels, int) else in_channels
        self.num_classes, self.featmap_strides = num_classes, tuple(featmap_strides)
        self.in_channels = [make_divisible(width, widen_factor) for width in widths]
        channels = make_divisible(feat_channels, widen_factor)
        self.make_layers(
            stacked_convs,
            widths=[(width, channels) for width in self.in_channels],
            style={"bias": conv_bias, "norm_cfg": norm_cfg, "act_cfg": act_cfg},
            conv_cfg=conv_cfg,
            use_depthwise=use_depthwise,
            dcn_on_last_conv=dcn_on_last_conv,
        )


@MODELS.register_module()
class YOLOXHead(YOLODense):
    """Points assigned by SimOTA; all losses are sums over the number of positive points.

    Args:
        head_module: Config or object, a `YOLOXHeadModule`.
        prior_generator: Where points stand.
        bbox_coder: Offsets and logarithms of sizes, in strides, to boxes.
        loss_cls: Config or object; reduction `sum`, as all four.
        loss_bbox: Config or object, over boxes.
        loss_obj: Config or object.
        loss_bbox_aux: Config or object, over what boxes are written in; counts while `use_bbox_aux` is set, as
            `YOLOXModeSwitchHook` does late in training.
        train_cfg: `assigner`.
        test_cfg: See `YOLODense`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        head_module: Any,
        *,
        prior_generator: Any = {  # noqa: B006 (read only, as the next)
            "type": "det.MlvlPointGenerator",
            "offset": 0,
            "strides": [8, 16, 32],
        },
        bbox_coder: Any = {"type": "YOLOXBBoxCoder"},  # noqa: B006
        loss_cls: Any = SUMMED_BCE,
        loss_bbox: Any = {  # noqa: B006
            "type": "det.IoULoss",
            "mode": "square",
            "eps": 1e-16,
            "reduction": "sum",
            "loss_weight": 5.0,
        },
        loss_obj: Any = SUMMED_BCE,
        loss_bbox_aux: Any = {"type": "L1Loss", "reduction": "sum", "loss_weight": 1.0},  # noqa: B006
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
        self.use_bbox_aux = False
        self.loss_cls, self.loss_bbox = MODELS.build(loss_cls), MODELS.build(loss_bbox)
        self.loss_obj, self.loss_bbox_aux = MODELS.build(loss_obj), MODELS.build(loss_bbox_aux)
        if "assigner" in self.train_cfg:
            self.assigner = TASK_UTILS.build(self.train_cfg["assigner"])
            self.sampler = PseudoSampler()

    def loss_by_feat(
        self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps, *, truth: BatchTruth
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox`, `loss_obj` and, while `use_bbox_aux` is set, `loss_bbox_aux`."""
        priors, written = self.places(cls_scores), flatten_levels(bbox_preds, 4)
        rows = YOLOXRows(
            priors,
            flatten_levels(cls_scores, self.num_classes),
            self.decode_boxes(priors, written),
            flatten_levels(objectnesses, 1).squeeze(-1),
        )
        targets = simota_targets(rows, truth.instances, assigner=self.assigner, sampler=self.sampler)
        parts = {"loss_cls": self.loss_cls, "loss_bbox": self.loss_bbox, "loss_obj": self.loss_obj}
        losses = yolox_losses(rows, targets, **parts)
        if self.use_bbox_aux:
            at = priors.expand(len(written), -1, -1)[targets.positive]
            codes = self.bbox_coder.encode(at[:, :2], targets.boxes, at[:, 2])
            losses["loss_bbox_aux"] = self.loss_bbox_aux(written[targets.positive], codes)
        count = mean_over_ranks(targets.positive.sum(), like=written)
        return {name: loss / count for name, loss in losses.items()}

    def read(self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps) -> DenseOutputs:
        """Read classes, boxes and objectness, which multiplies the first."""
        return DenseOutputs(
            flatten_levels(cls_scores, self.num_classes).sigmoid(),
            flatten_levels(bbox_preds, 4),
            self.places(cls_scores),
            [h * w for h, w in map_sizes(cls_scores)],
            flatten_levels(objectnesses, 1).squeeze(-1).sigmoid(),
        )

    def decode_boxes(
        self, priors: torch.Tensor, boxes: torch.Tensor, max_shape: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return boxes (..., N, 4) of offsets and logarithms of sizes (..., N, 4), in strides, at places (N, 4)."""
        return self.bbox_coder.decode(priors[..., :2], boxes, priors[..., 2])
