"""The head of DPT.

Shapes: B images, n = 4 maps of D channels, h rows and w columns, each with a token (B, D), R_i channels of the i-th
map put together again, C channels of features.

Names of parameters: reassemble_blocks.{projects.<map>.conv,resize_layers.<map>,readout_projects.<map>.0},
convs.<map>.conv, fusion_blocks.<map>.{project.conv,res_conv_unit<1,2>.conv<1,2>}, project.conv, conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead
from visuite.seg.layers import ConvOptions, Upsample, resize_like
from visuite.seg.layers.conv_options import BN, Cfg
from visuite.seg.registry import MODELS

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]
_READOUTS = ("ignore", "add", "project")


class ReassembleBlocks(nn.Module):
    """Make maps of four sizes of a transformer's, and tell their pixels what the class token holds.

    Args:
        in_channels: D.
        out_channels: R_i.
        readout_type: What becomes of the token: `ignore`, `add`, or `project`: a layer on both side by side.
        options: Of the convolutions.

    Raises:
        ValueError: another readout, or not four maps.
    """

    def __init__(
        self, in_channels: int, out_channels: Sequence[int], *, readout_type: str, options: ConvOptions
    ) -> None:
        super().__init__()
        if readout_type not in _READOUTS:
            raise ValueError(f"readout_type is one of {', '.join(_READOUTS)}, not {readout_type!r}")
        if len(out_channels) != 4:
            raise ValueError(f"DPTHead makes four sizes of four maps, not of {len(out_channels)}")
        self.readout_type = readout_type
        plain = options.but(conv_cfg=None, norm_cfg=None, act_cfg=None)
        self.projects = nn.ModuleList(plain.conv(in_channels, wide) for wide in out_channels)
        fourfold, twofold, _, half = out_channels
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(fourfold, fourfold, 4, stride=4),
                nn.ConvTranspose2d(twofold, twofold, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(half, half, 3, stride=2, padding=1),
            ]
        )
        if readout_type == "project":
            self.readout_projects = nn.ModuleList(
                nn.Sequential(nn.Linear(2 * in_channels, in_channels), nn.GELU()) for _ in out_channels
            )

    def forward(self, inputs: Pairs) -> list[torch.Tensor]:
        """Pairs of a map (B, D, h, w) and a token (B, D) to maps (B, R_i, 4h, 4w), (2h, 2w), (h, w) and (h/2, w/2)."""
        maps = []
        for index, (x, token) in enumerate(inputs):
            x = self._read(index, x, token)
            maps.append(self.resize_layers[index](self.projects[index](x)))
        return maps

    def _read(self, index: int, x: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        if self.readout_type == "ignore":
            return x
        if self.readout_type == "add":
            return x + token[:, :, None, None]
        pixels = x.permute(0, 2, 3, 1)
        both = torch.cat([pixels, token[:, None, None].expand_as(pixels)], dim=-1)
        return self.readout_projects[index](both).permute(0, 3, 1, 2)


class PreActResidualConvUnit(nn.Module):
    """Two convolutions, activated before, and the way round them.

    Args:
        channels: C.
        options: Of the convolutions.
    """

    def __init__(self, channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        shape: dict[str, Any] = {"bias": False, "order": ("act", "conv", "norm"), "inplace": False}
        self.conv1 = options.conv(channels, channels, 3, **shape)
        self.conv2 = options.conv(channels, channels, 3, **shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return x + self.conv2(self.conv1(x))


class FeatureFusionBlock(nn.Module):
    """A finer map is added to what comes from the coarser ones; the sum is enlarged twofold.

    Args:
        channels: C.
        first: There is nothing coarser to add to.
        options: Of the convolutions.
        align_corners: How maps are enlarged.
    """

    def __init__(self, channels: int, *, first: bool, options: ConvOptions, align_corners: bool = True) -> None:
        super().__init__()
        self.project = options.conv(channels, channels, norm_cfg=None, act_cfg=None, bias=True)
        self.res_conv_unit1 = None if first else PreActResidualConvUnit(channels, options=options)
        self.res_conv_unit2 = PreActResidualConvUnit(channels, options=options)
        self.enlarge = Upsample(2, align_corners=align_corners)

    def forward(self, x: torch.Tensor, finer: torch.Tensor | None = None) -> torch.Tensor:
        """(B, C, h, w) and a finer map to (B, C, 2h, 2w)."""
        if self.res_conv_unit1 is not None and finer is not None:
            x = x + self.res_conv_unit1(resize_like(finer, x))
        return self.project(self.enlarge(self.res_conv_unit2(x)))


@MODELS.register_module()
class DPTHead(BaseDecodeHead):
    """A transformer's maps put together again at four sizes, and fused from coarse to fine (arXiv:2103.13413).

    The backbone hands out each map with its class token (`output_cls_token=True`).

    Args:
        embed_dims: D.
        post_process_channels: R_i.
        readout_type: What becomes of the token: `ignore`, `add` or `project`.
        patch_size: Accepted for configs: the sizes follow from the maps.
        expand_channels: Double R_i from each map to the next.
        norm_cfg: Config of the norms.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: another readout, or not four maps.
    """

    def __init__(
        self,
        *,
        embed_dims: int = 768,
        post_process_channels: Sequence[int] = (96, 192, 384, 768),
        readout_type: str = "ignore",
        patch_size: int = 16,
        expand_channels: bool = False,
        norm_cfg: Cfg | None = BN,
        **kwargs: Any,
    ) -> None:
        super().__init__(norm_cfg=norm_cfg, **{"input_transform": "multiple_select", **kwargs})
        wide = [channels * 2**i if expand_channels else channels for i, channels in enumerate(post_process_channels)]
        self.reassemble_blocks = ReassembleBlocks(embed_dims, wide, readout_type=readout_type, options=self.options)
        self.convs = nn.ModuleList(
            self.conv(channels, self.channels, 3, norm_cfg=None, act_cfg=None, bias=False) for channels in wide
        )
        self.fusion_blocks = nn.ModuleList(
            FeatureFusionBlock(self.channels, first=index == 0, options=self.options) for index in range(len(wide))
        )
        self.project = self.conv(self.channels, self.channels, 3)

    def forward_feature(self, inputs: Pairs) -> torch.Tensor:  # type: ignore[override]
        """Return the features (B, C, 8h, 8w) that pixels are classified by."""
        chosen: Any = self.in_index
        maps = self.reassemble_blocks([inputs[index] for index in chosen])
        coarsest, *finer = reversed([conv(x) for conv, x in zip(self.convs, maps, strict=True)])
        out = self.fusion_blocks[0](coarsest)
        for block, x in zip(self.fusion_blocks[1:], finer, strict=True):
            out = block(out, x)
        return self.project(out)
