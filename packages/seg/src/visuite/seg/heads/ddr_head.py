"""The head of DDRNet.

Shapes: B images, I channels of the map of both branches, I / 2 of the spatial branch's own, C channels of features, K
channels of scores, h rows, w columns.

Names of parameters: head.0.{bn,conv}, head.1 (a norm), aux_head.*, conv_seg, aux_cls_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Losses, Maps, stack_maps
from visuite.seg.layers.conv_options import BN, Cfg
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

_RELU: Cfg = {"type": "ReLU", "inplace": True}


@MODELS.register_module()
class DDRHead(BaseDecodeHead):
    """Scores of both branches, and while training of the spatial branch's own map (Hong et al., arXiv:2101.06085).

    The losses are `loss_context` of both branches and `loss_spatial` of the one, by the first and the second of
    `loss_decode`.

    Args:
        in_channels: I.
        channels: C.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: there are not two losses.
    """

    def __init__(
        self, in_channels: int, channels: int, *, norm_cfg: Cfg = BN, act_cfg: Cfg = _RELU, **kwargs: Any
    ) -> None:
        super().__init__(in_channels, channels, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
        if len(self.loss_decode) != 2:
            raise ValueError(f"DDRHead takes two losses: both branches, the spatial one; not {len(self.loss_decode)}")
        self.head = self._base_head(in_channels)
        self.aux_head = self._base_head(in_channels // 2)
        self.aux_cls_seg = nn.Conv2d(channels, self.out_channels, kernel_size=1)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) of both branches."""
        return self.head(inputs[-1])

    def loss(self, inputs: Maps, batch_data_samples: Sequence[SegDataSample], train_cfg: Any = None) -> Losses:
        """Return the losses of both branches and of the spatial one; the maps are those of a backbone that trains.

        Raises:
            ValueError: the spatial branch's own map is not there.
        """
        if len(inputs) != 2:
            raise ValueError("DDRHead learns from two maps, which DDRNet hands out in training mode")
        labels = stack_maps(batch_data_samples, "gt_sem_seg")
        scores = (self(inputs), self.aux_cls_seg(self.aux_head(inputs[0])))
        context, spatial = (self.resized_to(one, labels) for one in scores)
        return {
            "loss_context": self.compute_loss(self.loss_decode[0], context, labels),
            "loss_spatial": self.compute_loss(self.loss_decode[1], spatial, labels),
            "acc_seg": self.accuracy(context, labels),
        }

    def _base_head(self, in_channels: int) -> nn.Sequential:
        conv = self.conv(in_channels, self.channels, 3, order=("norm", "act", "conv"))
        return nn.Sequential(conv, self.options.norm(self.channels), self.options.act())
