"""The necks of YOLOv6. Shapes: see `base.py`.

Names of parameters: reduce_layers.2.*, upsample_layers.0.*, top_down_layers.0.0.* (blocks), top_down_layers.0.1.* (what
narrows), top_down_layers.1.* (of the finest level, blocks alone), downsample_layers.0.*, bottom_up_layers.0.*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import LIKE_TORCH, ConvModule
from visuite.yolo.layers.bifusion import BiFusion
from visuite.yolo.layers.rep_blocks import BepC3StageBlock, RepStageBlock
from visuite.yolo.necks.base import YOLONeck
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]

_INIT: Cfg = {**LIKE_TORCH, "layer": ["Conv2d", "ConvTranspose2d"]}


@MODELS.register_module()
class YOLOv6RepPAFPN(YOLONeck):
    """Path aggregation by re-parameterised blocks (YOLOv6: Li et al., arXiv:2209.02976).

    By the name `YOLOv6CSPRepPAFPN` it is registered as the larger sizes have it: with `hidden_ratio`, plain
    convolutions for blocks (`ConvWrapper`) and SiLU in them.

    Args:
        in_channels: C_i before widening, from fine to coarse.
        out_channels: K_i before widening.
        num_csp_blocks: Blocks of each level before deepening.
        block_cfg: Config of the blocks.
        hidden_ratio: Put pairs of blocks on this part of a level's channels, beside a shortcut (`BepC3StageBlock`);
            None: put them behind one another (`RepStageBlock`).
        block_act_cfg: Config of the activations of blocks and what is around them; None: `act_cfg`.
        norm_cfg: Config of the norms.
        act_cfg: Config of the other activations.
        init_cfg: How weights are initialised.
        kwargs: See `YOLONeck`.

    Raises:
        ValueError: channels for unlike numbers of levels.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int | Sequence[int],
        *,
        num_csp_blocks: int = 12,
        block_cfg: Cfg = {"type": "RepVGGBlock"},  # noqa: B006 (read only, as the next)
        hidden_ratio: float | None = None,
        block_act_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006
        act_cfg: Cfg | None = {"type": "ReLU", "inplace": True},  # noqa: B006
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels, out_channels, norm_cfg=norm_cfg, act_cfg=act_cfg, init_cfg=init_cfg or _INIT, **kwargs
        )
        #: What comes in at the levels themselves.
        self.level_channels = self.in_channels[self.extra_inputs :]
        self.hidden_ratio = hidden_ratio
        self.options: dict[str, Any] = {
            "num_blocks": self.depth(num_csp_blocks),
            "block_cfg": block_cfg,
            "norm_cfg": norm_cfg,
            "act_cfg": act_cfg if block_act_cfg is None else block_act_cfg,
        }
        self.build_layers()

    def build_reduce_layer(self, index: int) -> nn.Module:
        """Return a 1x1 convolution for the coarsest level, nothing for the others."""
        if index < self.levels - 1:
            return nn.Identity()
        return ConvModule(self.level_channels[index], self.out_channels[index - 1], 1, **self.cfgs)

    def build_upsample_layer(self, index: int) -> nn.Module:
        """Return a transposed convolution."""
        channels = self.out_channels[index - 1]
        return nn.ConvTranspose2d(channels, channels, 2, stride=2)

    def build_top_down_layer(self, index: int) -> nn.Module:
        """Return blocks and, unless the finest level is reached, a 1x1 convolution."""
        return self._down(index, self.level_channels[index - 1] + self.out_channels[index - 1])

    def build_downsample_layer(self, index: int) -> nn.Module:
        """Return a convolution with stride 2."""
        channels = self.out_channels[index]
        return ConvModule(channels, channels, 3, stride=2, padding=1, **self.cfgs)

    def build_bottom_up_layer(self, index: int) -> nn.Module:
        """Return blocks."""
        return self._blocks(2 * self.out_channels[index], self.out_channels[index + 1])

    def _down(self, index: int, channels: int) -> nn.Module:
        blocks = self._blocks(channels, self.out_channels[index - 1])
        if index == 1:
            return blocks
        return nn.Sequential(
            blocks, ConvModule(self.out_channels[index - 1], self.out_channels[index - 2], 1, **self.cfgs)
        )

    def _blocks(self, channels: int, out_channels: int) -> nn.Module:
        if self.hidden_ratio is None:
            return RepStageBlock(channels, out_channels, **self.options)
        return BepC3StageBlock(channels, out_channels, hidden_ratio=self.hidden_ratio, **self.options)


@MODELS.register_module()
class YOLOv6RepBiPAFPN(YOLOv6RepPAFPN):
    """`YOLOv6RepPAFPN`, in which each level meets the coarser and the finer one at once (v3.0: arXiv:2301.05586).

    By the name `YOLOv6CSPRepBiPAFPN` it is registered as the larger sizes have it; see there.

    Args:
        in_channels: C_i before widening, from fine to coarse, beginning with a map finer than the finest level.
        out_channels: K_i before widening.
        kwargs: See `YOLOv6RepPAFPN`.

    Raises:
        ValueError: channels for unlike numbers of levels.
    """

    extra_inputs = 1

    def build_upsample_layer(self, index: int) -> nn.Module:
        """Return what makes one of three levels."""
        return BiFusion(
            self.in_channels[index],
            self.in_channels[index - 1],
            out_channels=self.out_channels[index - 1],
            norm_cfg=self.cfgs["norm_cfg"],
            act_cfg=self.cfgs["act_cfg"],
        )

    def build_top_down_layer(self, index: int) -> nn.Module:
        """Return blocks and, unless the finest level is reached, a 1x1 convolution."""
        return self._down(index, self.out_channels[index - 1])

    def reduce(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return what becomes of the levels, behind the finer map."""
        return [inputs[0], *super().reduce(inputs[1:])]

    def top_down(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Join each level with the coarser and the finer one, from coarse to fine."""
        joined = [maps[-1]]
        levels, finer = maps[-2:0:-1], maps[-3::-1]
        for level, fine, fuse, layer in zip(levels, finer, self.upsample_layers, self.top_down_layers, strict=True):
            joined.append(layer(fuse(joined[-1], level, fine)))
        return joined[::-1]


_LARGE: Cfg = {
    "hidden_ratio": 0.5,
    "block_cfg": {"type": "ConvWrapper"},
    "block_act_cfg": {"type": "SiLU", "inplace": True},
}
MODELS.register_defaults(YOLOv6RepPAFPN, "YOLOv6CSPRepPAFPN", **_LARGE)
MODELS.register_defaults(YOLOv6RepBiPAFPN, "YOLOv6CSPRepBiPAFPN", **_LARGE)
