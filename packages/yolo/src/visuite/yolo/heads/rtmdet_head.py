"""RTMDet's head: convolutions shared by all levels, each level with its own norms (Lyu et al., arXiv:2212.07784).

Shapes: B images, C channels of the features, F of the layers, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.det.heads.dense import Features
from visuite.det.heads.rtmdet_head import conv_stacks
from visuite.det.heads.towers import prior_bias
from visuite.engine.model import BaseModule
from visuite.yolo.heads.points import PointDense
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]

#: A point in the corner of each place.
POINTS: Cfg = {"type": "det.MlvlPointGenerator", "offset": 0, "strides": [8, 16, 32]}
LOSS_CLS: Cfg = {"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0, "loss_weight": 1.0}
LOSS_BBOX: Cfg = {"type": "GIoULoss", "loss_weight": 2.0}


@MODELS.register_module()
class RTMDetSepBNHeadModule(BaseModule):
    """A stack of 3x3 convolutions for classes and one for distances; levels share them, not their norms.

    Names of parameters: {cls,reg}_convs.l.i.conv, rtm_cls.l, rtm_reg.l.

    Args:
        num_classes: K.
        in_channels: C before widening.
        widen_factor: Factor of the channels.
        num_base_priors: Points at each place; there is one.
        feat_channels: F before widening.
        stacked_convs: Convolutions in each stack.
        featmap_strides: Input pixels per place of each level.
        share_conv: Levels share the convolutions.
        pred_kernel_size: Of the last convolutions.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.
    """

    num_steps = 1

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        widen_factor: float = 1.0,
        num_base_priors: int = 1,
        feat_channels: int = 256,
        stacked_convs: int = 2,
        featmap_strides: Sequence[int] = (8, 16, 32),
        share_conv: bool = True,
        pred_kernel_size: int = 1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU", "inplace": True},  # noqa: B006
        init_cfg: Any = {"type": "Normal", "layer": "Conv2d", "std": 0.01},  # noqa: B006
    ) -> None:
        super().__init__(init_cfg)
        if num_base_priors != 1:
            raise ValueError(f"there is one point at a place, not num_base_priors={num_base_priors}")
        self.num_classes, self.featmap_strides = num_classes, tuple(featmap_strides)
        self.in_channels, self.feat_channels = (
            make_divisible(one, widen_factor) for one in (in_channels, feat_channels)
        )
        self.style: Cfg = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.stacked_convs, self.share_conv, self.pred_kernel_size = stacked_convs, share_conv, pred_kernel_size
        self.cls_convs, self.reg_convs = self.stacks(), self.stacks()
        self.rtm_cls, self.rtm_reg = self.predictors(num_classes), self.predictors(4)

    def stacks(self) -> nn.ModuleList:
        """Return a stack of convolutions for each level, from C to F channels."""
        shape = (len(self.featmap_strides), self.in_channels, self.feat_channels, self.stacked_convs)
        return conv_stacks(*shape, kind=ConvModule, style=self.style, share_conv=self.share_conv)

    def predictors(self, out_channels: int) -> nn.ModuleList:
        """Return the last convolution of each level, from F channels."""
        last: dict[str, Any] = {"kernel_size": self.pred_kernel_size, "padding": self.pred_kernel_size // 2}
        return nn.ModuleList(nn.Conv2d(self.feat_channels, out_channels, **last) for _ in self.featmap_strides)

    def init_weights(self) -> None:
        """Initialise the weights, with classes rare at the start."""
        super().init_weights()
        for conv in self.rtm_cls:
            nn.init.constant_(conv.bias, prior_bias(0.01))  # type: ignore[arg-type]

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Turn features (B, C, H_l, W_l) into classes (B, K, H_l, W_l) and distances in strides (B, 4, H_l, W_l)."""
        scores, distances = [], []
        for level, x in enumerate(feats):
            scores.append(self.rtm_cls[level](through(self.cls_convs[level], x)))
            distances.append(self.rtm_reg[level](through(self.reg_convs[level], x)))
        return scores, distances


@MODELS.register_module()
class RTMDetHead(PointDense):
    """Points assigned by dynamic soft labels; the score of a class is the overlap that its box will have.

    Args:
        head_module: Config or object, a `RTMDetSepBNHeadModule`.
        prior_generator: Where points stand.
        loss_cls: Config or object.
        loss_bbox: Config or object.
        **kwargs: See `PointDense`.
    """

    assigns_by_logits = True

    def __init__(
        self,
        head_module: Any,
        *,
        prior_generator: Any = POINTS,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        **kwargs: Any,
    ) -> None:
        super().__init__(head_module, prior_generator=prior_generator, loss_cls=loss_cls, loss_bbox=loss_bbox, **kwargs)


def through(stack: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what the convolutions of a stack make of features (B, C, H, W), one after the other."""
    for conv in stack.children():
        x = conv(x)
    return x
