"""The backbone of YOLOv5: Darknet of CSP layers behind one large convolution.

Shapes: see `base.py`. Names of parameters: stem.conv, stage1.0.conv, stage1.1.main_conv.conv, ..., stage4.2.conv1.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from visuite.cv.layers import ConvModule, CSPLayer, SPPBottleneck
from visuite.yolo.backbones.base import Stage, YOLOBackbone
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLOv5CSPDarknet(YOLOBackbone):
    """CSP layers (Wang et al., arXiv:1911.11929), and behind the last of them pooling over several ranges.

    Args:
        arch: `P5` (four stages) or `P6` (five).
        **kwargs: Arguments of `YOLOBackbone`.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {
        "P5": (
            Stage(64, 128, 3),
            Stage(128, 256, 6),
            Stage(256, 512, 9),
            Stage(512, 1024, 3, use_spp=True),
        ),
        "P6": (
            Stage(64, 128, 3),
            Stage(128, 256, 6),
            Stage(256, 512, 9),
            Stage(512, 768, 3),
            Stage(768, 1024, 3, use_spp=True),
        ),
    }

    def __init__(self, arch: str = "P5", **kwargs: Any) -> None:
        super().__init__(self.stages_of(arch), **kwargs)
        self.build_layers()

    def build_stem(self) -> nn.Module:
        """Return a convolution 6x6 with stride 2: as many weights as one 3x3 over pixels folded into channels."""
        width = self.width(self.stages[0].in_channels)
        return ConvModule(self.input_channels, width, 6, stride=2, padding=2, **self.cfgs)

    def build_stage(self, index: int, stage: Stage) -> list[nn.Module]:
        """Return a convolution with stride 2, a CSP layer, perhaps an `SPPBottleneck`."""
        wide = self.width(stage.out_channels)
        modules: list[nn.Module] = [
            ConvModule(self.width(stage.in_channels), wide, 3, stride=2, padding=1, **self.cfgs),
            CSPLayer(wide, wide, **self.blocks(stage), **self.cfgs),
        ]
        if stage.use_spp:
            modules.append(SPPBottleneck(wide, wide, **self.cfgs))
        return modules
