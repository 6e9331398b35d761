"""The backbones of YOLOv6. Shapes: see `base.py`.

Names of parameters: stem.*, stage1.0.0.* (the block that halves), stage1.0.1.* (those behind), ..., stage4.1.* (the
pooling over several ranges).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from visuite.cv.layers import SPPBottleneck
from visuite.yolo.backbones.base import Cfg, Stage, YOLOBackbone
from visuite.yolo.layers.rep_blocks import BepC3StageBlock, RepStageBlock, build_block
from visuite.yolo.layers.spp_csp import SPPFCSPBlock
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLOv6EfficientRep(YOLOBackbone):
    """Re-parameterised blocks alone (YOLOv6: Li et al., arXiv:2209.02976; v3.0: arXiv:2301.05586).

    By the name `YOLOv6CSPBep` it is registered as the larger sizes have it: with `hidden_ratio`, plain convolutions for
    blocks (`ConvWrapper`) and SiLU.

    Args:
        arch: A name in `arch_settings`.
        use_cspsppf: Pool over ranges on one half of the channels (`SPPFCSPBlock`), as v3.0 does.
        block_cfg: Config of the blocks.
        hidden_ratio: Put pairs of blocks on this part of a stage's channels, beside a shortcut (`BepC3StageBlock`);
            None: put them behind one another (`RepStageBlock`).
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        kwargs: See `YOLOBackbone`.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {
        "P5": (Stage(64, 128, 6), Stage(128, 256, 12), Stage(256, 512, 18), Stage(512, 1024, 6, use_spp=True)),
    }

    def __init__(
        self,
        arch: str = "P5",
        *,
        use_cspsppf: bool = False,
        block_cfg: Cfg = {"type": "RepVGGBlock"},  # noqa: B006 (read only, as the next)
        hidden_ratio: float | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006
        act_cfg: Cfg | None = {"type": "ReLU", "inplace": True},  # noqa: B006
        **kwargs: Any,
    ) -> None:
        super().__init__(self.stages_of(arch), norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
        self.block_cfg, self.hidden_ratio, self.use_cspsppf = block_cfg, hidden_ratio, use_cspsppf
        self.block_cfgs = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.build_layers()

    def build_stem(self) -> nn.Module:
        """Return a block of stride 2."""
        return self._halve(self.input_channels, self.width(self.stages[0].in_channels))

    def build_stage(self, index: int, stage: Stage) -> list[nn.Module]:
        """Return a block of stride 2 and those behind it, as one, and the pooling."""
        channels = self.width(stage.out_channels)
        options: dict[str, Any] = {
            "num_blocks": self.depth(stage.num_blocks),
            "block_cfg": self.block_cfg,
            **self.block_cfgs,
        }
        if self.hidden_ratio is None:
            blocks: nn.Module = RepStageBlock(channels, channels, **options)
        else:
            blocks = BepC3StageBlock(channels, channels, hidden_ratio=self.hidden_ratio, **options)
        modules: list[nn.Module] = [nn.Sequential(self._halve(self.width(stage.in_channels), channels), blocks)]
        if stage.use_spp:
            modules.append(self._pool(channels))
        return modules

    def _pool(self, channels: int) -> nn.Module:
        if self.use_cspsppf:  # on half of the channels, by the 4.7 and 18.5 million weights of YOLOv6-N and S v3.0
            return SPPFCSPBlock(channels, channels, expand_ratio=0.25, **self.cfgs)
        return SPPBottleneck(channels, channels, **self.cfgs)

    def _halve(self, in_channels: int, out_channels: int) -> nn.Module:
        shape = {"kernel_size": 3, "stride": 2}
        return build_block(self.block_cfg, in_channels, out_channels, **shape, **self.block_cfgs)


MODELS.register_defaults(
    YOLOv6EfficientRep,
    "YOLOv6CSPBep",
    hidden_ratio=0.5,
    block_cfg={"type": "ConvWrapper"},
    act_cfg={"type": "SiLU", "inplace": True},
)
