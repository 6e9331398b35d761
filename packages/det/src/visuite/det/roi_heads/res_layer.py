"""The last stage of a ResNet behind the extractor, as in Faster R-CNN over C4 (He et al., arXiv:1512.03385).

Shapes: R regions, C channels of the features, h and w the bins of a region, s stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from visuite.cv.backbones import BlockOptions, ResNet
from visuite.cv.backbones.resnet_block import make_shortcut, make_stage
from visuite.det.registry import MODELS
from visuite.engine.model import BaseModule


@MODELS.register_module()
class ResLayer(BaseModule):
    """One stage of a ResNet. Names of parameters: layer4.i.conv1, ... (the number is that of the stage, from 1).

    Args:
        depth: Of the ResNet: 18, 34, 50, 101 or 152.
        stage: Which of its stages, from 0.
        stride: s.
        dilation: Of its convolutions.
        style: See `ResNet`, as all that follow.
        norm_cfg: Config of the norms.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        dcn: Config of deformable convolutions.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        depth: int,
        stage: int = 3,
        *,
        stride: int = 2,
        dilation: int = 1,
        style: str = "pytorch",
        norm_cfg: Mapping[str, Any] = {"type": "BN", "requires_grad": True},
        norm_eval: bool = True,
        with_cp: bool = False,
        dcn: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__({"type": "Pretrained", "checkpoint": pretrained} if pretrained is not None else init_cfg)
        self.norm_eval, self.stage = norm_eval, stage
        block, blocks = ResNet.arch_settings[depth]
        options = BlockOptions(style=style, with_cp=with_cp, norm_cfg=norm_cfg, dcn=dcn)
        expansion, channels = block.expansion_of(options), 64 * 2**stage
        before, self.out_channels = channels // 2 * expansion, channels * expansion
        shortcut = make_shortcut(
            before, self.out_channels, stride, options=options, avg_down=False, always_pool=True
        )  # fmt: skip
        layer = make_stage(
            block,
            before,
            channels,
            stride=stride,
            dilations=[dilation] * blocks[stage],
            options=options,
            shortcut=shortcut,
        )
        self.add_module(f"layer{stage + 1}", layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn features (R, C, h, w) into (R, out_channels, h / s, w / s)."""
        return getattr(self, f"layer{self.stage + 1}")(x)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, but for norms that keep their statistics."""
        super().train(mode)
        for layer in self.modules() if mode and self.norm_eval else ():
            if isinstance(layer, _BatchNorm):
                layer.eval()
        return self
