"""The neck of YOLOv7. Shapes: see `base.py`.

Names of parameters: reduce_layers.0.conv, ..., those of the coarsest level as in `SPPFCSPBlock`; upsample_layers.0.0.*,
top_down_layers.0.*, downsample_layers.0.*, bottom_up_layers.0.*, out_layers.0.*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from visuite.cv.layers import ConvModule
from visuite.yolo.layers.downsample import MaxPoolAndStrideConvBlock
from visuite.yolo.layers.rep_blocks import RepVGGBlock, build_block
from visuite.yolo.layers.spp_csp import SPPFCSPBlock
from visuite.yolo.necks.base import YOLONeck
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class YOLOv7PAFPN(YOLONeck):
    """Path aggregation by ELAN blocks behind pooling over several ranges (YOLOv7: Wang et al., arXiv:2207.02696).

    With up to three levels, it hands out maps of twice `out_channels`; with four, the head doubles the channels.

    Args:
        in_channels: C_i before widening, from fine to coarse.
        out_channels: K_i before widening, or half of them.
        block_cfg: Config of the blocks.
        spp_expand_ratio: Channels that are pooled, in twice those of the coarsest level.
        is_tiny_version: Have fewer convolutions around the pooling, and halve maps by convolutions.
        use_maxpool_in_downsample: Halve maps by convolutions and by maxima, half of the channels each.
        use_in_channels_in_downsample: Have as many channels before these convolutions as come in.
        use_repconv_outs: Let the last convolutions be `RepVGGBlock`s without the input's branch.
        kwargs: See `YOLONeck`.

    Raises:
        ValueError: channels for unlike numbers of levels.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int | Sequence[int],
        *,
        block_cfg: Cfg = {  # noqa: B006 (read only)
            "type": "ELANBlock",
            "middle_ratio": 0.5,
            "block_ratio": 0.25,
            "num_blocks": 4,
            "num_convs_in_block": 1,
        },
        spp_expand_ratio: float = 0.5,
        is_tiny_version: bool = False,
        use_maxpool_in_downsample: bool = True,
        use_in_channels_in_downsample: bool = False,
        use_repconv_outs: bool = True,
        upsample_feats_cat_first: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, upsample_feats_cat_first=upsample_feats_cat_first, **kwargs)
        self.block_cfg, self.spp_expand_ratio, self.is_tiny_version = block_cfg, spp_expand_ratio, is_tiny_version
        self.use_maxpool = use_maxpool_in_downsample and not is_tiny_version
        self.use_in_channels = use_in_channels_in_downsample
        self.use_repconv_outs = use_repconv_outs
        self.doubles = self.levels < 4
        self.build_layers()
        if self.doubles:
            self.out_channels = tuple(2 * channels for channels in self.out_channels)

    def build_reduce_layer(self, index: int) -> nn.Module:
        """Return pooling for the coarsest level, a 1x1 convolution for the others."""
        channels, out_channels = self.in_channels[index], self.out_channels[index]
        if index < self.levels - 1:
            return ConvModule(channels, out_channels, 1, **self.cfgs)
        options: dict[str, Any] = {"expand_ratio": self.spp_expand_ratio, "is_tiny_version": self.is_tiny_version}
        return SPPFCSPBlock(channels, out_channels, **options, **self.cfgs)

    def build_upsample_layer(self, index: int) -> nn.Module:
        """Return a 1x1 convolution, and what doubles the sides."""
        convolution = ConvModule(self.out_channels[index], self.out_channels[index - 1], 1, **self.cfgs)
        return nn.Sequential(convolution, super().build_upsample_layer(index))

    def build_top_down_layer(self, index: int) -> nn.Module:
        """Return a block."""
        return self._block(index - 1)

    def build_downsample_layer(self, index: int) -> nn.Module:
        """Return a convolution with stride 2, perhaps beside a maximum."""
        channels, out_channels = self.out_channels[index], self.out_channels[index + 1]
        if not self.use_maxpool:
            return ConvModule(channels, out_channels, 3, stride=2, padding=1, **self.cfgs)
        return MaxPoolAndStrideConvBlock(
            channels, out_channels, use_in_channels_of_middle=self.use_in_channels, **self.cfgs
        )

    def build_bottom_up_layer(self, index: int) -> nn.Module:
        """Return a block."""
        return self._block(index + 1)

    def build_out_layer(self, index: int) -> nn.Module:
        """Return a 3x3 convolution to twice the channels, or nothing."""
        if not self.doubles:
            return nn.Identity()
        channels = self.out_channels[index]
        if not self.use_repconv_outs:
            return ConvModule(channels, 2 * channels, 3, padding=1, **self.cfgs)
        cfgs: dict[str, Any] = {key: self.cfgs[key] for key in ("norm_cfg", "act_cfg")}
        return RepVGGBlock(channels, 2 * channels, use_bn_first=False, **cfgs)

    def _block(self, level: int) -> nn.Module:
        channels = self.out_channels[level]
        return build_block(self.block_cfg, 2 * channels, channels, **self.cfgs)
