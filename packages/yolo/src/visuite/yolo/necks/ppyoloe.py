"""The neck of PP-YOLOE. Shapes: see `base.py`.

Names of parameters: reduce_layers.2.0.* (`CSPResLayer`, as the other blocks), upsample_layers.0.0.*,
top_down_layers.0.0.*, downsample_layers.0.*, bottom_up_layers.0.0.*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from visuite.cv.layers import ConvModule
from visuite.yolo.layers.csp_res_layer import CSPResLayer
from visuite.yolo.necks.base import YOLONeck
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class PPYOLOECSPPAFPN(YOLONeck):
    """Path aggregation by residual CSP layers and pooling (PP-YOLOE: Xu et al., arXiv:2203.16250).

    Args:
        in_channels: C_i before widening, from fine to coarse.
        out_channels: K_i before widening.
        num_csplayer: CSP layers of each level.
        num_blocks_per_layer: Blocks of each of these, before deepening.
        block_cfg: Config of the blocks.
        drop_block_cfg: Config of what drops parts of the maps of each level behind its CSP layers; None is nothing.
        use_spp: Pool over several ranges in the CSP layers of the coarsest level's beginning.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        kwargs: See `YOLONeck`.

    Raises:
        ValueError: channels for unlike numbers of levels.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024),
        out_channels: int | Sequence[int] = (256, 512, 1024),
        *,
        num_csplayer: int = 1,
        num_blocks_per_layer: int = 3,
        block_cfg: Cfg = {  # noqa: B006 (read only, as the next)
            "type": "PPYOLOEBasicBlock",
            "shortcut": False,
            "use_alpha": False,
        },
        drop_block_cfg: Cfg | None = None,
        use_spp: bool = False,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.1, "eps": 1e-5},  # noqa: B006
        act_cfg: Cfg | None = {"type": "SiLU", "inplace": True},  # noqa: B006
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
        self.num_csplayer, self.use_spp, self.drop_block_cfg = num_csplayer, use_spp, drop_block_cfg
        self.options: dict[str, Any] = {
            "num_block": self.depth(num_blocks_per_layer),
            "block_cfg": block_cfg,
            "norm_cfg": norm_cfg,
            "act_cfg": act_cfg,
        }
        self.build_layers()

    def build_reduce_layer(self, index: int) -> nn.Module:
        """Return CSP layers for the coarsest level, nothing for the others."""
        if index < self.levels - 1:
            return nn.Identity()
        return self._mix(self.in_channels[index], self.out_channels[index], use_spp=self.use_spp)

    def build_upsample_layer(self, index: int) -> nn.Module:
        """Return a 1x1 convolution, and what doubles the sides."""
        convolution = ConvModule(self.out_channels[index], self.out_channels[index - 1], 1, **self.cfgs)
        return nn.Sequential(convolution, super().build_upsample_layer(index))

    def build_top_down_layer(self, index: int) -> nn.Module:
        """Return CSP layers."""
        channels = self.out_channels[index - 1]
        return self._mix(self.in_channels[index - 1] + channels, channels)

    def build_downsample_layer(self, index: int) -> nn.Module:
        """Return a convolution with stride 2."""
        channels = self.out_channels[index]
        return ConvModule(channels, channels, 3, stride=2, padding=1, **self.cfgs)

    def build_bottom_up_layer(self, index: int) -> nn.Module:
        """Return CSP layers."""
        return self._mix(self.out_channels[index] + self.out_channels[index + 1], self.out_channels[index + 1])

    def _mix(self, channels: int, out_channels: int, *, use_spp: bool = False) -> nn.Module:
        widths = [channels] + [out_channels] * (self.num_csplayer - 1)
        layers: list[nn.Module] = [
            CSPResLayer(width, out_channels, use_spp=use_spp, **self.options) for width in widths
        ]
        if self.drop_block_cfg is not None:
            layers.append(MODELS.build(dict(self.drop_block_cfg)))
        return nn.Sequential(*layers)
