"""The necks of YOLOv5, YOLOX and RTMDet: CSP layers, down and up.

Shapes and names of parameters: see `base.py`. Level i has C_i channels inside; K_i are the same without out layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from visuite.cv.layers import ConvModule, CSPLayer, DepthwiseSeparableConvModule
from visuite.yolo.necks.base import YOLONeck
from visuite.yolo.registry import MODELS


class CSPPAFPN(YOLONeck):
    """Path aggregation by CSP layers (arXiv:1803.01534, arXiv:1911.11929); behind each, the next level's are reduced.

    Registered as `YOLOv5PAFPN`, which hands its maps out as they are; as `YOLOXPAFPN` (Ge et al., arXiv:2107.08430),
    with a 1x1 convolution behind each level; and as `CSPNeXtPAFPN` (RTMDet: Lyu et al., arXiv:2212.07784), with a 3x3
    one, and with `CSPNeXtBlock`s.

    Args:
        in_channels: C_i before widening, from fine to coarse.
        out_channels: K_i before widening, or one number for all.
        num_csp_blocks: Blocks of each CSP layer, before deepening.
        use_depthwise: Make the convolutions that are wider than 1x1 depthwise separable ones.
        expand_ratio: The channels of each half of a CSP layer, in those that it gives.
        use_cspnext_block: What the CSP layers are made of, `CSPNeXtBlock` rather than `DarknetBottleneck`.
        out_kernel_size: Of the convolution behind each level; None is none.
        **kwargs: More arguments of `YOLONeck`.

    Raises:
        ValueError: other `out_channels` than `in_channels`, but no convolution that makes them.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int | Sequence[int],
        *,
        num_csp_blocks: int = 1,
        use_depthwise: bool = False,
        expand_ratio: float = 0.5,
        use_cspnext_block: bool = False,
        out_kernel_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, **kwargs)
        if out_kernel_size is None and self.out_channels != self.in_channels:
            raise ValueError(
                f"a neck without out layers hands out as many channels as it takes: out_channels {out_channels} "
                f"differ from in_channels {tuple(in_channels)}"
            )
        self.out_kernel_size = out_kernel_size
        self.wide_conv = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        self.csp: dict[str, Any] = {
            "num_blocks": self.depth(num_csp_blocks),
            "expand_ratio": expand_ratio,
            "add_identity": False,
            "use_depthwise": use_depthwise,
            "use_cspnext_block": use_cspnext_block,
            **self.cfgs,
        }
        self.build_layers()

    def build_reduce_layer(self, index: int) -> nn.Module:
        """Return a convolution to the channels of the finer level for the coarsest one; the others come reduced."""
        return self._reduce(index) if index == self.levels - 1 else nn.Identity()

    def build_top_down_layer(self, index: int) -> nn.Module:
        """Return a CSP layer, and a convolution to the channels of the next finer level if there is one."""
        fine = self.in_channels[index - 1]
        mix = CSPLayer(2 * fine, fine, **self.csp)
        return mix if index == 1 else nn.Sequential(mix, self._reduce(index - 1))

    def build_downsample_layer(self, index: int) -> nn.Module:
        """Return a convolution with stride 2."""
        channels = self.in_channels[index]
        return self.wide_conv(channels, channels, 3, stride=2, padding=1, **self.cfgs)

    def build_bottom_up_layer(self, index: int) -> nn.Module:
        """Return a CSP layer."""
        return CSPLayer(2 * self.in_channels[index], self.in_channels[index + 1], **self.csp)

    def build_out_layer(self, index: int) -> nn.Module:
        """Return a convolution to K_i, if there is to be one."""
        size = self.out_kernel_size
        if size is None:
            return nn.Identity()
        conv = self.wide_conv if size > 1 else ConvModule
        return conv(self.in_channels[index], self.out_channels[index], size, padding=size // 2, **self.cfgs)

    def _reduce(self, index: int) -> ConvModule:
        return ConvModule(self.in_channels[index], self.in_channels[index - 1], 1, **self.cfgs)


MODELS.register_defaults(CSPPAFPN, "YOLOv5PAFPN")
MODELS.register_defaults(CSPPAFPN, "YOLOXPAFPN", num_csp_blocks=3, out_kernel_size=1)
MODELS.register_defaults(CSPPAFPN, "CSPNeXtPAFPN", num_csp_blocks=3, use_cspnext_block=True, out_kernel_size=3)
