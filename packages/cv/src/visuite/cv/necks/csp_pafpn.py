"""Feature pyramids of CSP layers, down and up again: the necks of YOLOX and RTMDet.

Shapes: B images, C_i channels of the i-th map taken, K channels of all maps handed out, H_i rows, W_i columns.

Names of parameters: reduce_layers.0.conv and top_down_blocks.0.* (from coarse to fine), downsamples.0.conv and
bottom_up_blocks.0.* (from fine to coarse), out_convs.0.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import LIKE_TORCH, ConvModule, CSPLayer, DepthwiseSeparableConvModule
from visuite.cv.necks.base import Neck
from visuite.cv.necks.pyramid import enlarge
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class YOLOXPAFPN(Neck):
    """Path aggregation by CSP layers (YOLOX: Ge et al., arXiv:2107.08430; the path: arXiv:1803.01534).

    By the name `CSPNeXtPAFPN` (RTMDet: arXiv:2212.07784) it is registered with `use_cspnext_block=True` and
    `out_kernel_size=3`.

    Args:
        in_channels: C_i, from fine to coarse.
        out_channels: K.
        num_csp_blocks: Blocks of each CSP layer.
        use_depthwise: Make the 3x3 convolutions depthwise separable ones.
        expand_ratio: The channels of each half of a CSP layer, in those that it gives.
        use_cspnext_block: What the CSP layers are made of, `CSPNeXtBlock` rather than `DarknetBottleneck`.
        out_kernel_size: Of the last convolutions; these are depthwise separable with `use_depthwise` if it is not 1.
        upsample_cfg: How maps are enlarged: arguments of `torch.nn.functional.interpolate`.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        num_csp_blocks: int = 3,
        use_depthwise: bool = False,
        expand_ratio: float = 0.5,
        use_cspnext_block: bool = False,
        out_kernel_size: int = 1,
        upsample_cfg: Cfg = {"scale_factor": 2, "mode": "nearest"},  # noqa: B006 (read only, as the next)
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006
        act_cfg: Cfg | None = {"type": "Swish"},  # noqa: B006
        init_cfg: Any = LIKE_TORCH,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.out_channels = (out_channels,) * len(in_channels)
        self.upsample_cfg = dict(upsample_cfg)

        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        separable = DepthwiseSeparableConvModule if use_depthwise else ConvModule

        def mix(channels: int, out: int) -> CSPLayer:
            return CSPLayer(
                channels,
                out,
                expand_ratio=expand_ratio,
                num_blocks=num_csp_blocks,
                add_identity=False,
                use_depthwise=use_depthwise,
                use_cspnext_block=use_cspnext_block,
                **cfgs,
            )

        finer, coarser = self.in_channels[:-1], self.in_channels[1:]
        down = list(zip(finer, coarser, strict=True))[::-1]
        self.reduce_layers = nn.ModuleList(ConvModule(coarse, fine, 1, **cfgs) for fine, coarse in down)
        self.top_down_blocks = nn.ModuleList(mix(2 * fine, fine) for fine, _ in down)
        self.downsamples = nn.ModuleList(separable(fine, fine, 3, stride=2, padding=1, **cfgs) for fine in finer)
        self.bottom_up_blocks = nn.ModuleList(mix(2 * fine, coarse) for fine, coarse in pairwise(self.in_channels))
        last = separable if out_kernel_size > 1 else ConvModule
        self.out_convs = nn.ModuleList(
            last(channels, out_channels, out_kernel_size, padding=out_kernel_size // 2, **cfgs)
            for channels in self.in_channels
        )

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out: those of the maps taken."""
        return tuple(in_strides)

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H_i, W_i) to as many (B, K, H_i, W_i)."""
        self.check_maps(inputs)
        coarse = inputs[-1]
        reduced = []
        for fine, reduce, block in zip(inputs[-2::-1], self.reduce_layers, self.top_down_blocks, strict=True):
            reduced.append(reduce(coarse))
            coarse = block(torch.cat((enlarge(reduced[-1], fine, self.upsample_cfg), fine), dim=1))
        maps = [coarse]
        for kept, shrink, block in zip(reduced[::-1], self.downsamples, self.bottom_up_blocks, strict=True):
            maps.append(block(torch.cat((shrink(maps[-1]), kept), dim=1)))
        return tuple(conv(x) for conv, x in zip(self.out_convs, maps, strict=True))


MODELS.register_defaults(YOLOXPAFPN, "CSPNeXtPAFPN", use_cspnext_block=True, out_kernel_size=3)
