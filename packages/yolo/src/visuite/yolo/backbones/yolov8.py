"""The backbone of YOLOv8: stages of CSP layers that keep what each block gives.

Shapes: see `base.py`. Names of parameters: stem.conv, stage1.0.conv, stage1.1.main_conv.conv, ..., stage4.2.conv1.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from visuite.cv.layers import ConvModule, SPPBottleneck
from visuite.yolo.backbones.base import Stage, YOLOBackbone
from visuite.yolo.layers.c2f import CSPLayerWithTwoConv
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLOv8CSPDarknet(YOLOBackbone):
    """`CSPLayerWithTwoConv`s, and behind the last of them pooling over several ranges.

    Args:
        arch: `P5`.
        last_stage_out_channels: Channels of the last stage before widening, fewer in large networks.
        **kwargs: Arguments of `YOLOBackbone`.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {
        "P5": (
            Stage(64, 128, 3),
            Stage(128, 256, 6),
            Stage(256, 512, 6),
            Stage(512, 1024, 3, use_spp=True),
        ),
    }

    def __init__(self, arch: str = "P5", *, last_stage_out_channels: int = 1024, **kwargs: Any) -> None:
        *stages, last = self.stages_of(arch)
        super().__init__((*stages, replace(last, out_channels=last_stage_out_channels)), **kwargs)
        self.build_layers()

    def build_stem(self) -> nn.Module:
        """Return a convolution with stride 2."""
        width = self.width(self.stages[0].in_channels)
        return ConvModule(self.input_channels, width, 3, stride=2, padding=1, **self.cfgs)

    def build_stage(self, index: int, stage: Stage) -> list[nn.Module]:
        """Return a convolution with stride 2, a `CSPLayerWithTwoConv`, perhaps an `SPPBottleneck`."""
        wide = self.width(stage.out_channels)
        modules: list[nn.Module] = [
            ConvModule(self.width(stage.in_channels), wide, 3, stride=2, padding=1, **self.cfgs),
            CSPLayerWithTwoConv(wide, wide, **self.blocks(stage), **self.cfgs),
        ]
        if stage.use_spp:
            modules.append(SPPBottleneck(wide, wide, **self.cfgs))
        return modules
