"""The backbone of YOLOX. Shapes: see `base.py`; names of parameters are those of `visuite.cv.backbones.CSPDarknet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import starmap
from typing import Any, ClassVar

from torch import nn

from visuite.cv.backbones.csp_base import arch_table, csp_stage
from visuite.cv.layers import Focus
from visuite.yolo.backbones.base import Stage, YOLOBackbone
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLOXCSPDarknet(YOLOBackbone):
    """Darknet of CSP layers behind a stem that folds pixels into channels (YOLOX: Ge et al., arXiv:2107.08430).

    Args:
        arch: `P5` (four stages) or `P6` (five).
        use_depthwise: Make the 3x3 convolutions of stages depthwise separable ones.
        spp_kernal_sizes: The ranges over which the last stage pools. Configs spell it so.
        **kwargs: Arguments of `YOLOBackbone`.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {
        name: tuple(starmap(Stage, rows)) for name, rows in arch_table(9).items()
    }

    def __init__(
        self,
        arch: str = "P5",
        *,
        use_depthwise: bool = False,
        spp_kernal_sizes: Sequence[int] = (5, 9, 13),
        **kwargs: Any,
    ) -> None:
        super().__init__(self.stages_of(arch), **kwargs)
        self.use_depthwise, self.spp_kernal_sizes = use_depthwise, tuple(spp_kernal_sizes)
        self.build_layers()

    def build_stem(self) -> nn.Module:
        """Return a `Focus`."""
        return Focus(self.input_channels, self.width(self.stages[0].in_channels), kernel_size=3, **self.cfgs)

    def build_stage(self, index: int, stage: Stage) -> list[nn.Module]:
        """Return what `csp_stage` makes."""
        return csp_stage(
            self.width(stage.in_channels),
            self.width(stage.out_channels),
            use_depthwise=self.use_depthwise,
            spp_kernel_sizes=self.spp_kernal_sizes if stage.use_spp else None,
            csp=self.blocks(stage),
            cfgs=self.cfgs,
        )
