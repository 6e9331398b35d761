"""The head of DANet.

Shapes: B images, I channels of the map, C channels of features, K channels of scores, h rows, w columns, N = h * w.

Names of parameters: {pam,cam}_in_conv.conv, pam.{query_project,key_project,value_project,gamma.scale}, cam.gamma.scale,
{pam,cam}_out_conv.conv, {pam,cam}_conv_seg, conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import Scale
from visuite.seg.heads.decode_head import BaseDecodeHead, Losses, Maps
from visuite.seg.layers import ConvOptions, SelfAttentionBlock
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample


class PAM(SelfAttentionBlock):
    """Position attention: each pixel attends to all, and what it finds is added by a learnt factor that begins at 0.

    Args:
        in_channels: C.
        channels: Of queries and keys.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            in_channels,
            in_channels,
            channels=channels,
            out_channels=in_channels,
            key_query_norm=False,
            value_out_norm=False,
            matmul_norm=False,
            with_out=False,
            options=ConvOptions(),
        )
        self.gamma = Scale(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """(B, C, h, w) to the same shape."""
        return self.gamma(super().forward(x, x)) + x


class CAM(nn.Module):
    """Channel attention: each channel attends to those least like it, and adds what it finds by a learnt factor."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = Scale(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        channels = x.flatten(2)
        alike = channels @ channels.transpose(1, 2)  # (B, C, C)
        found = (alike.amax(-1, keepdim=True) - alike).softmax(dim=-1) @ channels
        return self.gamma(found.unflatten(2, x.shape[2:])) + x


@MODELS.register_module()
class DAHead(BaseDecodeHead):
    """Attention of pixels and of channels, side by side; each learns by scores of its own too (arXiv:1809.02983).

    The losses are `pam_cam.*` of both together, `pam.*` and `cam.*`.

    Args:
        pam_channels: Channels of queries and keys of the pixels' attention.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, pam_channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pam_in_conv = self.conv(self.in_channels, self.channels, 3)
        self.pam = PAM(self.channels, pam_channels)
        self.pam_out_conv = self.conv(self.channels, self.channels, 3)
        self.pam_conv_seg = nn.Conv2d(self.channels, self.out_channels, kernel_size=1)
        self.cam_in_conv = self.conv(self.in_channels, self.channels, 3)
        self.cam = CAM()
        self.cam_out_conv = self.conv(self.channels, self.channels, 3)
        self.cam_conv_seg = nn.Conv2d(self.channels, self.out_channels, kernel_size=1)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) of both attentions together."""
        return sum(self._attend(inputs))  # type: ignore[return-value]

    def loss(self, inputs: Maps, batch_data_samples: Sequence[SegDataSample], train_cfg: Any = None) -> Losses:
        """Return the losses of the scores by both attentions, and by each alone."""
        pam, cam = self._attend(inputs)
        scores = {
            "pam_cam": self.cls_seg(pam + cam),
            "pam": self.pam_conv_seg(self.dropout(pam)),
            "cam": self.cam_conv_seg(self.dropout(cam)),
        }
        return {
            f"{branch}.{name}": value
            for branch, one in scores.items()
            for name, value in self.loss_by_feat(one, batch_data_samples).items()
        }

    def _attend(self, inputs: Maps) -> tuple[torch.Tensor, torch.Tensor]:
        x = self._transform_inputs(inputs)
        return self.pam_out_conv(self.pam(self.pam_in_conv(x))), self.cam_out_conv(self.cam(self.cam_in_conv(x)))
