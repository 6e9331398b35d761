"""The head of PIDNet.

Shapes: B images, I channels of the map of all branches, I / 2 of those of the detail and edge branches, C channels of
features, K channels of scores, H and W of the truth, h rows, w columns.

Names of parameters: {i,p,d}_head.{conv.bn,conv.conv,norm}, conv_seg, p_cls_seg, d_cls_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Losses, Maps, stack_maps
from visuite.seg.layers import ConvOptions
from visuite.seg.layers.conv_options import BN, Cfg
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

_RELU: Cfg = {"type": "ReLU", "inplace": True}
#: Above which probability a pixel is taken to lie on an edge.
_EDGE = 0.8


class BasePIDHead(nn.Module):
    """A convolution, activated before and behind.

    Args:
        in_channels: Channels in.
        channels: Channels out.
        options: Of the convolution.
    """

    def __init__(self, in_channels: int, channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.conv = options.conv(in_channels, channels, 3, order=("norm", "act", "conv"))
        self.norm = options.norm(channels)
        self.act = options.act()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, h, w) to (B, C, h, w)."""
        return self.act(self.norm(self.conv(x)))


@MODELS.register_module()
class PIDHead(BaseDecodeHead):
    """Scores of all branches, and while training of detail and of edges (Xu et al., arXiv:2206.02066).

    The four of `loss_decode` are those of detail, `loss_sem_p`, of all branches, `loss_sem_i`, of edges against
    `gt_edge_map`, `loss_bd`, and of all branches near edges, `loss_sem_bd`.

    Args:
        in_channels: I.
        channels: C.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: there are not four losses.
    """

    def __init__(
        self, in_channels: int, channels: int, *, norm_cfg: Cfg = BN, act_cfg: Cfg = _RELU, **kwargs: Any
    ) -> None:
        super().__init__(in_channels, channels, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
        if len(self.loss_decode) != 4:
            raise ValueError(f"PIDHead takes four losses: detail, all, edges, near edges; not {len(self.loss_decode)}")
        half, quarter = in_channels // 2, in_channels // 4
        self.i_head = BasePIDHead(in_channels, channels, options=self.options)
        self.p_head = BasePIDHead(half, channels, options=self.options)
        self.d_head = BasePIDHead(half, quarter, options=self.options)
        self.p_cls_seg = nn.Conv2d(channels, self.out_channels, kernel_size=1)
        self.d_cls_seg = nn.Conv2d(quarter, 1, kernel_size=1)

    def cls_seg(self, feat: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to scores (B, K, h, w), without dropout."""
        return self.conv_seg(feat)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) of all branches."""
        return self.i_head(inputs[len(inputs) // 2])

    def loss(self, inputs: Maps, batch_data_samples: Sequence[SegDataSample], train_cfg: Any = None) -> Losses:
        """Return the four losses; the maps are those of a backbone that trains.

        Raises:
            ValueError: the maps of detail and edges are not there, or the samples have no `gt_edge_map`.
        """
        if len(inputs) != 3:
            raise ValueError("PIDHead learns from three maps, which PIDNet hands out in training mode")
        labels = stack_maps(batch_data_samples, "gt_sem_seg")
        edges = stack_maps(batch_data_samples, "gt_edge_map")
        detail = self.resized_to(self.p_cls_seg(self.p_head(inputs[0])), labels)
        whole = self.resized_to(self(inputs), labels)
        boundary = self.resized_to(self.d_cls_seg(self.d_head(inputs[2])), labels)
        near_edges = labels.where(boundary.sigmoid() > _EDGE, self.ignore_index)
        of_detail, of_all, of_edges, of_near = self.loss_decode
        return {
            "loss_sem_p": self.compute_loss(of_detail, detail, labels),
            "loss_sem_i": self.compute_loss(of_all, whole, labels),
            "loss_bd": of_edges(boundary, edges.squeeze(1)),
            "loss_sem_bd": self.compute_loss(of_near, whole, near_edges),
            "acc_seg": self.accuracy(whole, labels),
        }
