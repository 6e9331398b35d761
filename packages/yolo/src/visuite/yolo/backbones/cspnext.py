"""The backbone of RTMDet. Shapes: see `base.py`; names of parameters are those of `visuite.cv.backbones.CSPNeXt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import starmap
from typing import Any, ClassVar

from torch import nn

from visuite.cv.backbones.csp_base import arch_table, csp_stage
from visuite.cv.backbones.cspnext import cspnext_stem
from visuite.yolo.backbones.base import Stage, YOLOBackbone
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class CSPNeXt(YOLOBackbone):
    """CSP layers of blocks with large depthwise kernels, and channel attention (RTMDet: Lyu et al., arXiv:2212.07784).

    Args:
        arch: `P5` (four stages) or `P6` (five).
        use_depthwise: Make the 3x3 convolutions of stages depthwise separable ones.
        expand_ratio: The channels of each half of a CSP layer, in those that it gives.
        arch_ovewrite: The stages in full, in place of `arch`: channels in, channels out, blocks, whether these have
            shortcuts and whether the stage pools over several ranges, of each. Configs spell it so.
        spp_kernel_sizes: These ranges.
        channel_attention: Weigh the channels in each CSP layer.
        **kwargs: Arguments of `YOLOBackbone`.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {
        name: tuple(starmap(Stage, rows)) for name, rows in arch_table(6).items()
    }

    def __init__(
        self,
        arch: str = "P5",
        *,
        use_depthwise: bool = False,
        expand_ratio: float = 0.5,
        arch_ovewrite: Sequence[Sequence[Any]] | None = None,
        spp_kernel_sizes: Sequence[int] = (5, 9, 13),
        channel_attention: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(tuple(starmap(Stage, arch_ovewrite)) if arch_ovewrite else self.stages_of(arch), **kwargs)
        self.use_depthwise, self.spp_kernel_sizes = use_depthwise, tuple(spp_kernel_sizes)
        self.csp = {"expand_ratio": expand_ratio, "use_cspnext_block": True, "channel_attention": channel_attention}
        self.build_layers()

    def build_stem(self) -> nn.Module:
        """Return three convolutions, the first with stride 2."""
        return cspnext_stem(self.input_channels, self.width(self.stages[0].in_channels), self.cfgs)

    def build_stage(self, index: int, stage: Stage) -> list[nn.Module]:
        """Return what `csp_stage` makes."""
        return csp_stage(
            self.width(stage.in_channels),
            self.width(stage.out_channels),
            use_depthwise=self.use_depthwise,
            spp_kernel_sizes=self.spp_kernel_sizes if stage.use_spp else None,
            csp={**self.blocks(stage), **self.csp},
            cfgs=self.cfgs,
        )
