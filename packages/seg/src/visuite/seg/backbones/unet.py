"""U-Net.

Shapes: B images, I channels in, C base channels, n stages, H rows, W columns. Map i = 0..n-1 has the channels of stage
s = n - 1 - i: (B, C * 2^s, H / t_s, W / t_s), where t_s is the product of the strides and halvings up to stage s.

Names of parameters: encoder.<stage>.<0 or 1>.convs.<conv>.conv, decoder.<stage>.upsample.interp_upsample.1.conv,
decoder.<stage>.conv_block.convs.<conv>.conv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone
from visuite.cv.layers import build_upsample_layer
from visuite.cv.layers.recompute import recompute
from visuite.seg.layers import ConvOptions, resize_like
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS

_INTERP: Cfg = {"type": "seg.InterpConv"}


class ConvBlock(nn.Module):
    """3x3 convolutions, one after the other.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        num_convs: How many there are.
        stride: Of the first.
        dilation: Of the others.
        options: Of all.
        with_cp: Compute activations again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_convs: int,
        stride: int = 1,
        dilation: int = 1,
        options: ConvOptions,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        first = options.conv(in_channels, out_channels, 3, stride=stride)
        others = (options.conv(out_channels, out_channels, 3, dilation=dilation) for _ in range(num_convs - 1))
        self.convs = nn.Sequential(first, *others)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, H / stride, W / stride)."""
        return recompute(self.convs, x, enabled=self.with_cp)


class UpConvBlock(nn.Module):
    """A coarse map is enlarged, laid beside the finer one that was skipped, and both are convolved.

    Args:
        in_channels: Of the coarse map.
        skip_channels: Of the finer one, and of the result.
        upsample_cfg: Config of what enlarges; None where both maps have one size.
        options: Of the convolutions.
        **block: Arguments of `ConvBlock`.
    """

    def __init__(
        self, in_channels: int, skip_channels: int, *, upsample_cfg: Cfg | None, options: ConvOptions, **block: Any
    ) -> None:
        super().__init__()
        self.conv_block = ConvBlock(2 * skip_channels, skip_channels, options=options, **block)
        if upsample_cfg is None:
            self.upsample: nn.Module = options.conv(in_channels, skip_channels)
        else:
            self.upsample = build_upsample_layer(
                dict(upsample_cfg),
                in_channels=in_channels,
                out_channels=skip_channels,
                norm_cfg=options.norm_cfg,
                act_cfg=options.act_cfg,
                with_cp=self.conv_block.with_cp,
            )

    def forward(self, skip: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The finer map (B, K, H, W) and the coarse one to (B, K, H, W)."""
        x = self.upsample(x)
        if x.shape[2:] != skip.shape[2:]:  # where an edge was odd
            x = resize_like(x, skip)
        return self.conv_block(torch.cat([skip, x], dim=1))


@MODELS.register_module()
class UNet(Backbone):
    """An encoder, and a decoder that takes over the encoder's map of each size (Ronneberger et al., arXiv:1505.04597).

    Args:
        in_channels: I.
        base_channels: C.
        num_stages: n.
        strides: Of each stage.
        enc_num_convs: Convolutions of each stage of the encoder.
        dec_num_convs: Those of the decoder, of which there is one stage less.
        downsamples: Whether each stage but the first halves the map before, where its stride is 1.
        enc_dilations: Dilations of the convolutions, of each stage of the encoder.
        dec_dilations: Those of the decoder.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        upsample_cfg: Config of what enlarges maps in the decoder.
        norm_eval: Keep the statistics of batch norms as they are while training.
        dcn: Not supported, as `plugins`; they stand here for configs that say None.
        plugins: See there.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: lists of unequal length, or `dcn` or `plugins`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        base_channels: int = 64,
        *,
        num_stages: int = 5,
        strides: Sequence[int] = (1, 1, 1, 1, 1),
        enc_num_convs: Sequence[int] = (2, 2, 2, 2, 2),
        dec_num_convs: Sequence[int] = (2, 2, 2, 2),
        downsamples: Sequence[bool] = (True, True, True, True),
        enc_dilations: Sequence[int] = (1, 1, 1, 1, 1),
        dec_dilations: Sequence[int] = (1, 1, 1, 1),
        with_cp: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        upsample_cfg: Cfg = _INTERP,
        norm_eval: bool = False,
        dcn: Cfg | None = None,
        plugins: Cfg | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        if dcn is not None or plugins is not None:
            raise ValueError("UNet has neither deformable convolutions nor plugins: dcn and plugins are None")
        whole = {"strides": strides, "enc_num_convs": enc_num_convs, "enc_dilations": enc_dilations}
        less = {"dec_num_convs": dec_num_convs, "downsamples": downsamples, "dec_dilations": dec_dilations}
        for wanted, lists in ((num_stages, whole), (num_stages - 1, less)):
            for name, values in lists.items():
                if len(values) != wanted:
                    raise ValueError(f"{name} of a UNet of {num_stages} stages has {wanted} entries, not {len(values)}")
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        width, steps = in_channels, [1]
        for index in range(num_stages):
            channels = base_channels * 2**index
            pool = index > 0 and strides[index] == 1 and downsamples[index - 1]
            block = ConvBlock(
                width,
                channels,
                num_convs=enc_num_convs[index],
                stride=strides[index],
                dilation=enc_dilations[index],
                options=options,
                with_cp=with_cp,
            )
            # Rounding up loses no pixel of an odd edge.
            self.encoder.append(nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), block) if pool else nn.Sequential(block))
            steps.append(steps[-1] * (2 if pool else strides[index]))
            if index > 0:
                smaller = strides[index] != 1 or downsamples[index - 1]
                up = UpConvBlock(
                    channels,
                    width,
                    upsample_cfg=upsample_cfg if smaller else None,
                    num_convs=dec_num_convs[index - 1],
                    dilation=dec_dilations[index - 1],
                    options=options,
                    with_cp=with_cp,
                )
                self.decoder.append(up)
            width = channels
        self.out_channels = tuple(base_channels * 2**index for index in reversed(range(num_stages)))
        self.out_strides = tuple(reversed(steps[1:]))
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to n maps, coarse to fine, as the file's head says."""
        skipped = []
        for stage in self.encoder:
            x = stage(x)
            skipped.append(x)
        maps = [x]
        for up, skip in zip(reversed(self.decoder), reversed(skipped[:-1]), strict=True):
            x = up(skip, x)
            maps.append(x)
        return tuple(maps)
