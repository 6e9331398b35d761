"""The head of EMANet.

Shapes: B images, C channels of features, E channels inside, D bases, h rows, w columns, N = h * w.

Names of parameters: ema_in_conv.conv, ema_mid_conv.conv, ema_module.bases (a buffer), ema_out_conv.conv,
bottleneck.conv, conv_cat.conv, conv_seg.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.dist import all_reduce
from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.registry import MODELS


class EMAModule(nn.Module):
    """Pixels told again as mixtures of a few bases, which expectation maximisation finds in each image.

    Args:
        channels: E.
        num_bases: D.
        num_stages: Steps of expectation and maximisation.
        momentum: How far the bases that images begin from move to those that were found while training.
    """

    bases: torch.Tensor

    def __init__(self, channels: int, num_bases: int, *, num_stages: int, momentum: float) -> None:
        super().__init__()
        if num_stages < 1:
            raise ValueError(f"num_stages is at least 1, not {num_stages}")
        self.num_stages = num_stages
        self.momentum = momentum
        start = torch.empty(1, channels, num_bases).normal_(0, (2.0 / num_bases) ** 0.5)
        self.register_buffer("bases", F.normalize(start, dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, E, h, w) to the same shape."""
        pixels = x.flatten(2)  # (B, E, N)
        bases = self.bases.to(x.dtype).expand(x.shape[0], -1, -1)  # (B, E, D)
        with torch.no_grad():
            for _ in range(self.num_stages):
                share = (pixels.transpose(1, 2) @ bases).softmax(dim=2)  # (B, N, D)
                bases = F.normalize(pixels @ F.normalize(share, dim=1, p=1), dim=1)
        if self.training:
            self._remember(bases.detach())
        return (bases @ share.transpose(1, 2)).unflatten(2, x.shape[2:])

    @torch.no_grad()
    def _remember(self, found: torch.Tensor) -> None:
        mean = found.float().mean(dim=0, keepdim=True)
        all_reduce(mean, op="mean")
        self.bases.lerp_(F.normalize(mean, dim=1).to(self.bases.dtype), self.momentum)


@MODELS.register_module()
class EMAHead(BaseDecodeHead):
    """Expectation-maximisation attention (Li et al., arXiv:1907.13426).

    Args:
        ema_channels: E.
        num_bases: D.
        num_stages: See `EMAModule`.
        concat_input: Have a last convolution of what came in and what came out.
        momentum: See `EMAModule`.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(
        self,
        *,
        ema_channels: int,
        num_bases: int,
        num_stages: int,
        concat_input: bool = True,
        momentum: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.concat_input = concat_input
        self.ema_in_conv = self.conv(self.in_channels, ema_channels, 3)
        # Held as it was drawn: only the way through the bases, on which no gradient flows, passes it.
        self.ema_mid_conv = self.conv(ema_channels, ema_channels, norm_cfg=None, act_cfg=None)
        self.ema_mid_conv.requires_grad_(False)
        self.ema_module = EMAModule(ema_channels, num_bases, num_stages=num_stages, momentum=momentum)
        self.ema_out_conv = self.conv(ema_channels, ema_channels, act_cfg=None)
        self.bottleneck = self.conv(ema_channels, self.channels, 3)
        if concat_input:
            self.conv_cat = self.conv(self.in_channels + self.channels, self.channels, 3)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self._transform_inputs(inputs)
        feats = self.ema_in_conv(x)
        told_again = self.ema_out_conv(self.ema_module(self.ema_mid_conv(feats)).relu())
        out = self.bottleneck((feats + told_again).relu())
        return self.conv_cat(torch.cat([x, out], dim=1)) if self.concat_input else out
