"""The backbone of PP-YOLOE. Shapes: see `base.py`.

Names of parameters: stem.{0,1,2}.*, stage1.0.conv_down.*, stage1.0.blocks.0.conv1.*, stage1.0.attn.*, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from visuite.cv.layers import ConvModule
from visuite.yolo.backbones.base import Cfg, Stage, YOLOBackbone
from visuite.yolo.layers.csp_res_layer import CSPResLayer
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class PPYOLOECSPResNet(YOLOBackbone):
    """CSP layers of residual, re-parameterised blocks: CSPRepResNet (PP-YOLOE: Xu et al., arXiv:2203.16250).

    Args:
        arch: A name in `arch_settings`.
        block_cfg: Config of the blocks.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        attention_cfg: Config of what weighs the channels of a stage; None is nothing.
        use_large_stem: Have three convolutions in the stem rather than two.
        kwargs: See `YOLOBackbone`.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {
        "P5": (Stage(64, 128, 3), Stage(128, 256, 6), Stage(256, 512, 6), Stage(512, 1024, 3)),
    }

    def __init__(
        self,
        arch: str = "P5",
        *,
        block_cfg: Cfg = {"type": "PPYOLOEBasicBlock", "shortcut": True, "use_alpha": True},  # noqa: B006 (read only)
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.1, "eps": 1e-5},  # noqa: B006
        act_cfg: Cfg | None = {"type": "SiLU", "inplace": True},  # noqa: B006
        attention_cfg: Cfg | None = {"type": "EffectiveSELayer", "act_cfg": {"type": "HSigmoid"}},  # noqa: B006
        use_large_stem: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(self.stages_of(arch), norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
        self.block_cfg, self.attention_cfg, self.use_large_stem = block_cfg, attention_cfg, use_large_stem
        self.build_layers()

    def build_stem(self) -> nn.Module:
        """Return convolutions of which the first halves the map, and the last doubles the channels."""
        wide = self.width(self.stages[0].in_channels)
        narrow = wide // 2
        widths = [narrow, narrow, wide] if self.use_large_stem else [narrow, wide]
        before = [self.input_channels, *widths[:-1]]
        return nn.Sequential(
            *(
                ConvModule(channels, out, 3, stride=1 if index else 2, padding=1, **self.cfgs)
                for index, (channels, out) in enumerate(zip(before, widths, strict=True))
            )
        )

    def build_stage(self, index: int, stage: Stage) -> list[nn.Module]:
        """Return a CSP layer of stride 2."""
        layer = CSPResLayer(
            self.width(stage.in_channels),
            self.width(stage.out_channels),
            num_block=self.depth(stage.num_blocks),
            block_cfg=self.block_cfg,
            stride=2,
            attention_cfg=self.attention_cfg,
            norm_cfg=self.cfgs["norm_cfg"],
            act_cfg=self.cfgs["act_cfg"],
        )
        return [layer]
