"""PIDNet.

Shapes: B images, I channels in, C base channels, H rows, W columns. The map of the three branches together is (B, 4C,
H/8, W/8); while training it comes second, between that of the detail branch and that of the edge branch, both (B, 2C,
H/8, W/8).

Names of parameters: stem.<0,1>.conv, stem.<2,4>.<block>, {i,p,d}_branch_layers.<stage>.*, compression_<1,2>.conv,
pag_<1,2>.{f_i,f_p}.conv, diff_<1,2>.conv, spp.*, dfm.*.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone
from visuite.seg.backbones.ddrnet import make_stem
from visuite.seg.layers import DAPPM, PAPPM, BasicBlock, Bottleneck, ConvOptions, make_block, make_layer, resize_like
from visuite.seg.layers.conv_options import BN, Cfg
from visuite.seg.registry import MODELS

_RELU: Cfg = {"type": "ReLU", "inplace": True}


class PagFM(nn.Module):
    """Pixel attention: where two maps are alike, one takes the place of the other.

    Args:
        in_channels: J.
        channels: What both are compared in.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.f_i = options.conv(in_channels, channels, act_cfg=None)
        self.f_p = options.conv(in_channels, channels, act_cfg=None)

    def forward(self, detail: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """(B, J, h, w) and a coarser map to (B, J, h, w)."""
        alike = (self.f_p(detail) * resize_like(self.f_i(context), detail)).sum(1, keepdim=True).sigmoid()
        return alike * resize_like(context, detail) + (1 - alike) * detail


class Bag(nn.Module):
    """Near edges the detail counts, elsewhere the context; then a convolution.

    Args:
        in_channels: J.
        out_channels: K.
        options: Of the convolution, which is the last step.
    """

    def __init__(self, in_channels: int, out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.conv = options.conv(in_channels, out_channels, 3, order=("norm", "act", "conv"))

    def forward(self, detail: torch.Tensor, context: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Three maps (B, J, h, w) to (B, K, h, w)."""
        near = edges.sigmoid()
        return self.conv(near * detail + (1 - near) * context)


class LightBag(nn.Module):
    """`Bag` with two 1x1 convolutions, whose maps are added.

    Args:
        in_channels: J.
        out_channels: K.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.f_p = options.conv(in_channels, out_channels, act_cfg=None)
        self.f_i = options.conv(in_channels, out_channels, act_cfg=None)

    def forward(self, detail: torch.Tensor, context: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Three maps (B, J, h, w) to (B, K, h, w)."""
        near = edges.sigmoid()
        return self.f_p((1 - near) * context + detail) + self.f_i(context + near * detail)


@MODELS.register_module()
class PIDNet(Backbone):
    """Branches for detail, context and edges (Xu et al., arXiv:2206.02066).

    Args:
        in_channels: I.
        channels: C.
        ppm_channels: Channels of the branches that pool the coarse map.
        num_stem_blocks: Blocks of the stem's layers and of the detail branch: 2 is the small network, whose parts are
            lighter, 3 the larger ones.
        num_branch_blocks: Blocks of the context branch's layers.
        align_corners: How coarse maps are enlarged.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 64,
        *,
        ppm_channels: int = 96,
        num_stem_blocks: int = 2,
        num_branch_blocks: int = 3,
        align_corners: bool = False,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = _RELU,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        self.align_corners = align_corners
        options = ConvOptions(norm_cfg=norm_cfg, act_cfg=act_cfg)
        plain = options.but(act_cfg=None)
        detail, light = 2 * channels, num_stem_blocks == 2
        self.stem = make_stem(in_channels, channels, num_blocks=num_stem_blocks, options=options)
        self.relu = nn.ReLU()
        self.i_branch_layers = nn.ModuleList(
            [
                make_layer(BasicBlock, detail, 4 * channels, num_branch_blocks, stride=2, options=options),
                make_layer(BasicBlock, 4 * channels, 8 * channels, num_branch_blocks, stride=2, options=options),
                make_layer(Bottleneck, 8 * channels, 8 * channels, 2, stride=2, options=options),
            ]
        )
        self.p_branch_layers = nn.ModuleList(
            [
                make_layer(BasicBlock, detail, detail, num_stem_blocks, options=options),
                make_layer(BasicBlock, detail, detail, num_stem_blocks, options=options),
                make_layer(Bottleneck, detail, detail, 1, options=options),
            ]
        )
        self.compression_1 = plain.conv(4 * channels, detail, bias=False)
        self.compression_2 = plain.conv(8 * channels, detail, bias=False)
        self.pag_1 = PagFM(detail, channels, options=options)
        self.pag_2 = PagFM(detail, channels, options=options)

        edges = channels if light else detail
        self.d_branch_layers = nn.ModuleList([make_block(BasicBlock, detail, edges, with_act=False, options=options)])
        if light:
            self.d_branch_layers.append(make_layer(Bottleneck, edges, edges, 1, options=options))
        else:
            self.d_branch_layers.append(make_block(BasicBlock, edges, edges, with_act=False, options=options))
        self.d_branch_layers.append(make_layer(Bottleneck, detail, detail, 1, options=options))
        self.diff_1 = plain.conv(4 * channels, edges, 3, bias=False)
        self.diff_2 = plain.conv(8 * channels, detail, 3, bias=False)

        pool, fuse = (PAPPM, LightBag) if light else (DAPPM, Bag)
        self.spp = pool(16 * channels, ppm_channels, out_channels=4 * channels, num_scales=5)
        self.dfm = fuse(4 * channels, 4 * channels, options=options)
        self.out_channels = (4 * channels,)
        self.out_strides = (8,)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map, or while training to three, as the file's head says."""
        x = self.stem(x)
        context = self.relu(self.i_branch_layers[0](x))
        detail = self.pag_1(self.p_branch_layers[0](x), self.compression_1(context))
        edges = self.d_branch_layers[0](x)
        edges = edges + self._enlarged(self.diff_1(context), edges)
        own_detail = detail

        context = self.relu(self.i_branch_layers[1](context))
        detail = self.pag_2(self.p_branch_layers[1](self.relu(detail)), self.compression_2(context))
        edges = self.d_branch_layers[1](self.relu(edges))
        edges = edges + self._enlarged(self.diff_2(context), edges)
        own_edges = edges

        context = self.spp(self.i_branch_layers[2](context))
        detail = self.p_branch_layers[2](self.relu(detail))
        edges = self.d_branch_layers[2](self.relu(edges))
        both = self.dfm(detail, self._enlarged(context, detail), edges)
        return (own_detail, both, own_edges) if self.training else (both,)

    def _enlarged(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return resize_like(x, other, align_corners=self.align_corners)
