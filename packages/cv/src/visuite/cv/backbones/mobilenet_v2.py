"""MobileNetV2.

Shapes: B images, C channels in, H rows, W columns, f widen_factor. Stage i = 0..6 gives (B, c_i * f, H / s_i, W / s_i),
where s_i is 2 times the strides up to i; stage 7 is one more convolution, (B, 1280 * max(f, 1), H / s_6, W / s_6).

Names of parameters: conv1.conv, conv1.bn, layer1.0.conv.0.conv, ..., layer7.*, conv2.*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, check_frozen, chosen
from visuite.cv.layers import ConvModule, LinearBottleneck, make_divisible
from visuite.engine.registry import MODELS

#: Of each stage: how much wider its blocks are inside, their channels, how many there are.
_STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))


@MODELS.register_module()
class MobileNetV2(Backbone):
    """Inverted residuals with linear bottlenecks (Sandler et al., arXiv:1801.04381).

    Args:
        widen_factor: f, the width of all stages.
        in_channels: C.
        out_indices: Stages whose maps are handed out; 7 is the last convolution.
        strides: Of each stage.
        dilations: Of the first block of each stage; published weights are trained with no more.
        last_conv: Have that last convolution, used or not. Segmentation's checkpoints lack it.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: stages that do not exist, or lists of the wrong length.
    """

    def __init__(
        self,
        widen_factor: float = 1.0,
        in_channels: int = 3,
        *,
        out_indices: int | Sequence[int] = (1, 2, 4, 7),
        strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
        dilations: Sequence[int] = (1, 1, 1, 1, 1, 1, 1),
        last_conv: bool = True,
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN"},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "ReLU6"},  # noqa: B006
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        if not len(strides) == len(dilations) == len(_STAGES):
            raise ValueError(f"strides and dilations have {len(_STAGES)} entries, not {len(strides)}, {len(dilations)}")
        self.out_indices = chosen(out_indices, len(_STAGES) + last_conv)
        self.frozen_stages = check_frozen(frozen_stages, -1, len(_STAGES))
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}

        width = make_divisible(32 * widen_factor, 8)
        self.conv1 = ConvModule(in_channels, width, 3, stride=2, padding=1, **cfgs)
        self.layers: list[str] = []
        widths = []
        for index, (ratio, channels, blocks) in enumerate(_STAGES):
            stage = nn.Sequential()
            for block in range(blocks):
                layer = LinearBottleneck(
                    width,
                    make_divisible(channels * widen_factor, 8),
                    stride=strides[index] if block == 0 else 1,
                    expand_ratio=ratio,
                    dilation=dilations[index] if block == 0 else 1,
                    with_cp=with_cp,
                    **cfgs,
                )
                stage.append(layer)
                width = make_divisible(channels * widen_factor, 8)
            self.layers.append(f"layer{index + 1}")
            self.add_module(self.layers[-1], stage)
            widths.append(width)
        if last_conv:
            widths.append(int(1280 * max(widen_factor, 1.0)))
            self.layers.append("conv2")
            self.conv2 = ConvModule(width, widths[-1], 1, **cfgs)
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(2 * math.prod(strides[: index + 1]) for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.conv1(x)
        maps = []
        for index, name in enumerate(self.layers[: max(self.out_indices) + 1]):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        if self.frozen_stages < 0:
            return ()
        return self.conv1, *(getattr(self, name) for name in self.layers[: self.frozen_stages])
