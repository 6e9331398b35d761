"""The head of EncNet.

Shapes: B images, I channels of a map, C channels of features, K channels of scores, D codewords, h rows, w columns,
N = h * w.

Names of parameters: bottleneck.conv, lateral_convs.<map>.conv, fusion.conv, enc_module.{encoding_project.conv,
encoding.0.codewords,encoding.0.scale,encoding.1,fc.0}, se_layer, conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import build_norm_layer
from visuite.seg.heads.decode_head import BaseDecodeHead, Losses, Maps, stack_maps
from visuite.seg.layers import ConvOptions, resize_like
from visuite.seg.layers.conv_options import Cfg
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

_SE_LOSS: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 0.2}


class Encoding(nn.Module):
    """Residuals of pixels to codewords, added up by how near each codeword is (Zhang et al., arXiv:1612.02844).

    Args:
        channels: C.
        num_codes: D.
    """

    def __init__(self, channels: int, num_codes: int) -> None:
        super().__init__()
        bound = (num_codes * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(num_codes, channels).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.empty(num_codes).uniform_(-1, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, D, C)."""
        pixels = x.flatten(2).transpose(1, 2)  # (B, N, C)
        # Squared distances and sums of residuals by products: (B, N, D, C) is never held.
        distance = (
            pixels.square().sum(-1, keepdim=True) - 2 * pixels @ self.codewords.T + self.codewords.square().sum(-1)
        )
        share = (self.scale * distance).softmax(dim=-1)  # (B, N, D)
        return share.transpose(1, 2) @ pixels - share.sum(1).unsqueeze(2) * self.codewords


class EncModule(nn.Module):
    """Channels weighed by what the codewords make of the whole map.

    Args:
        in_channels: C.
        num_codes: D.
        options: Of the convolution and the norms.
    """

    def __init__(self, in_channels: int, num_codes: int, options: ConvOptions) -> None:
        super().__init__()
        self.encoding_project = options.conv(in_channels, in_channels)
        self.encoding = nn.Sequential(
            Encoding(in_channels, num_codes),
            build_norm_layer(_norm_of_sequences(options.norm_cfg), num_codes)[1],
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Sequential(nn.Linear(in_channels, in_channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, h, w) to what was encoded (B, C), and to the same shape."""
        encoded = self.encoding(self.encoding_project(x)).mean(dim=1)
        return encoded, (x + x * self.fc(encoded)[..., None, None]).relu()


@MODELS.register_module()
class EncHead(BaseDecodeHead):
    """Context encoding; it learns which classes are in an image, too (Zhang et al., arXiv:1803.08904).

    Args:
        num_codes: D.
        use_se_loss: Learn which classes there are: `loss_se`.
        add_lateral: Lay the finer maps beside the coarsest.
        loss_se_decode: That loss, a binary one of each class.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(
        self,
        *,
        num_codes: int = 32,
        use_se_loss: bool = True,
        add_lateral: bool = False,
        loss_se_decode: Cfg | nn.Module = _SE_LOSS,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        self.use_se_loss = use_se_loss
        self.add_lateral = add_lateral
        *finer, coarsest = self.map_channels
        self.bottleneck = self.conv(coarsest, self.channels, 3)
        if add_lateral:
            self.lateral_convs = nn.ModuleList(self.conv(wide, self.channels) for wide in finer)
            self.fusion = self.conv(len(self.map_channels) * self.channels, self.channels, 3)
        self.enc_module = EncModule(self.channels, num_codes, self.options)
        if use_se_loss:
            self.loss_se_decode = MODELS.build(loss_se_decode)
            self.se_layer = nn.Linear(self.channels, self.num_classes)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        return self._encode(inputs)[1]

    def loss(self, inputs: Maps, batch_data_samples: Sequence[SegDataSample], train_cfg: Any = None) -> Losses:
        """Return the losses of pixels, and of classes that are there at all."""
        encoded, feats = self._encode(inputs)
        losses = self.loss_by_feat(self.cls_seg(feats), batch_data_samples)
        if self.use_se_loss:
            labels = stack_maps(batch_data_samples, "gt_sem_seg")
            losses["loss_se"] = self.loss_se_decode(self.se_layer(encoded), present_classes(labels, self.num_classes))
        return losses

    def _encode(self, inputs: Maps) -> tuple[torch.Tensor, torch.Tensor]:
        *finer, coarsest = self._transform_inputs(inputs)
        feat = self.bottleneck(coarsest)
        if self.add_lateral:
            laterals = [conv(x) for conv, x in zip(self.lateral_convs, finer, strict=True)]
            laterals = [resize_like(x, feat, align_corners=self.align_corners) for x in laterals]
            feat = self.fusion(torch.cat([feat, *laterals], dim=1))
        return self.enc_module(feat)


def present_classes(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Return (B, num_classes) float: 1 for classes that are among the labels (B, 1, H, W) of an image."""
    known = (labels >= 0) & (labels < num_classes)
    found = labels.new_zeros(len(labels), num_classes + 1, dtype=torch.float32)
    found.scatter_(1, labels.where(known, num_classes).flatten(1), 1.0)
    return found[:, :num_classes]


def _norm_of_sequences(norm_cfg: Cfg | None) -> dict[str, Any]:
    """Return the config of a norm of (B, D, C) from that of a norm of maps; batch norm unless there is one."""
    cfg = dict(norm_cfg or {"type": "BN"})
    kind = str(cfg["type"])
    cfg["type"] = f"{kind}1d" if kind in ("BN", "IN") else kind.replace("2d", "1d")
    return cfg
