"""ERFNet.

Shapes: B images, I channels in, K channels out, H rows, W columns. One map, (B, K, H / 2, W / 2), behind a decoder.

Names of parameters: encoder.<layer>.{conv,bn} or encoder.<layer>.convs_layers.<0, 2, 3, 5, 7, 8>, decoder.<layer>.*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone
from visuite.seg.layers import ConvOptions, resize_like
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS


class DownsamplerBlock(nn.Module):
    """A convolution with stride 2 beside the maxima, normalised together.

    Args:
        in_channels: J.
        out_channels: K.
        options: Of the norm and the activation.
    """

    def __init__(self, in_channels: int, out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels - in_channels, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2, stride=2)
        self.bn = options.norm(out_channels)
        self.act = options.act()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, J, h, w) to (B, K, h / 2, w / 2)."""
        out = self.conv(x)
        return self.act(self.bn(torch.cat([out, resize_like(self.pool(x), out)], dim=1)))


class NonBottleneck1d(nn.Module):
    """Two 3x3 convolutions, each taken apart into a column and a row, and the way round them.

    Args:
        channels: C.
        drop_rate: The chance of a value to be zeroed behind the second.
        dilation: Of the second.
        options: Of the norms and activations.
    """

    def __init__(self, channels: int, *, drop_rate: float, dilation: int = 1, options: ConvOptions) -> None:
        super().__init__()
        self.act = options.act()
        self.convs_layers = nn.ModuleList()
        for spread, last in ((1, self.act), (dilation, nn.Dropout(drop_rate))):
            column = nn.Conv2d(channels, channels, (3, 1), padding=(spread, 0), dilation=(spread, 1))
            row = nn.Conv2d(channels, channels, (1, 3), padding=(0, spread), dilation=(1, spread))
            self.convs_layers.extend([column, self.act, row, options.norm(channels), last])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        out = x
        for layer in self.convs_layers:
            out = layer(out)
        return self.act(out + x)


class UpsamplerBlock(nn.Module):
    """A transposed convolution that doubles rows and columns.

    Args:
        in_channels: J.
        out_channels: K.
        options: Of the norm and the activation.
    """

    def __init__(self, in_channels: int, out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
        self.bn = options.norm(out_channels)
        self.act = options.act()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, J, h, w) to (B, K, 2h, 2w)."""
        return self.act(self.bn(self.conv(x)))


@MODELS.register_module()
class ERFNet(Backbone):
    """Efficient residual factorised network (Romera et al., T-ITS 2018, "ERFNet").

    Args:
        in_channels: I.
        enc_downsample_channels: Of the blocks of the encoder that halve the map.
        enc_stage_non_bottlenecks: Residual blocks behind the second of them and behind the last.
        enc_non_bottleneck_dilations: What the latter are dilated by, in turn.
        enc_non_bottleneck_channels: Of residual blocks, the same as of the halving block before them.
        dec_upsample_channels: Of the blocks of the decoder that double the map; the last is K.
        dec_stages_non_bottleneck: Residual blocks behind each of them.
        dec_non_bottleneck_channels: Of these, the same as of the doubling block before them.
        dropout_ratio: The chance of a value of the encoder's residual blocks to be zeroed.
        conv_cfg: Not supported; it stands here for configs that say None.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: lists of unequal length, channels that differ, or a `conv_cfg`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        enc_downsample_channels: Sequence[int] = (16, 64, 128),
        *,
        enc_stage_non_bottlenecks: Sequence[int] = (5, 8),
        enc_non_bottleneck_dilations: Sequence[int] = (2, 4, 8, 16),
        enc_non_bottleneck_channels: Sequence[int] = (64, 128),
        dec_upsample_channels: Sequence[int] = (64, 16),
        dec_stages_non_bottleneck: Sequence[int] = (2, 2),
        dec_non_bottleneck_channels: Sequence[int] = (64, 16),
        dropout_ratio: float = 0.1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        if conv_cfg is not None:
            raise ValueError("ERFNet is made of plain convolutions: conv_cfg is None")
        if tuple(enc_downsample_channels[1:]) != tuple(enc_non_bottleneck_channels):
            raise ValueError("enc_non_bottleneck_channels are those of enc_downsample_channels but the first")
        if tuple(dec_upsample_channels) != tuple(dec_non_bottleneck_channels):
            raise ValueError("dec_non_bottleneck_channels are those of dec_upsample_channels")
        counts = {"enc_stage_non_bottlenecks": (enc_stage_non_bottlenecks, enc_non_bottleneck_channels)}
        counts["dec_stages_non_bottleneck"] = (dec_stages_non_bottleneck, dec_non_bottleneck_channels)
        for name, (given, stages) in counts.items():
            if len(given) != len(stages):
                raise ValueError(f"{name} of ERFNet has {len(stages)} entries, not {len(given)}")
        options = ConvOptions(norm_cfg=norm_cfg, act_cfg=act_cfg)
        first, *widths = enc_downsample_channels
        self.encoder = nn.ModuleList([DownsamplerBlock(in_channels, first, options=options)])
        width = first
        for index, channels in enumerate(widths):
            self.encoder.append(DownsamplerBlock(width, channels, options=options))
            dilations = [1] * enc_stage_non_bottlenecks[index]
            if index == len(widths) - 1:
                rounds = enc_stage_non_bottlenecks[index] // len(enc_non_bottleneck_dilations)
                dilations = list(enc_non_bottleneck_dilations) * rounds
            self.encoder.extend(
                NonBottleneck1d(channels, drop_rate=dropout_ratio, dilation=dilation, options=options)
                for dilation in dilations
            )
            width = channels
        self.decoder = nn.ModuleList()
        for channels, count in zip(dec_upsample_channels, dec_stages_non_bottleneck, strict=True):
            self.decoder.append(UpsamplerBlock(width, channels, options=options))
            self.decoder.extend(NonBottleneck1d(channels, drop_rate=0.0, options=options) for _ in range(count))
            width = channels
        self.out_channels = (width,)
        self.out_strides = (2 ** (len(enc_downsample_channels) - len(dec_upsample_channels)),)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map, as the file's head says."""
        for layer in (*self.encoder, *self.decoder):
            x = layer(x)
        return (x,)
