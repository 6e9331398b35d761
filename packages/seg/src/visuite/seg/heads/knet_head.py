"""The head of K-Net.

Shapes: B images, C channels of features, K classes, each with a kernel of k x k pixels, F channels inside, h rows,
w columns.

Names of parameters: kernel_generate_head.*,
kernel_update_head.<stage>.{attention.attn,attention_norm,kernel_update_conv,
feat_transform.conv,ffn,ffn_norm,mask_fcs.<0, 1, 3, ...>,fc_mask}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import FFN, MultiheadAttention, build_activation_layer, build_norm_layer
from visuite.engine.model import BaseModule
from visuite.seg.heads.decode_head import Losses, Maps, Metas
from visuite.seg.layers import ConvOptions, resize_like
from visuite.seg.layers.conv_options import Cfg
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

_RELU: Cfg = {"type": "ReLU", "inplace": True}
_LAYER_NORM: Cfg = {"type": "LN"}
_UPDATOR: Cfg = {"type": "KernelUpdator"}


@MODELS.register_module()
class KernelUpdator(nn.Module):
    """Kernels told anew by the features of what they found: two gates weigh both.

    Args:
        in_channels: C, or a part of it: then kernels are cut into parts of so many channels, which are told one by one
            with the same weights, as published models do.
        feat_channels: F.
        out_channels: Channels of the new kernels, or of their parts; by default `in_channels`.
        gate_sigmoid: Let gates be between 0 and 1.
        gate_norm_act: Normalise and activate what gates are made of.
        activate_out: Activate what gates weigh.
        act_cfg: The activation's config.
        norm_cfg: The norms' config.
    """

    def __init__(
        self,
        in_channels: int = 256,
        feat_channels: int = 64,
        *,
        out_channels: int | None = None,
        gate_sigmoid: bool = True,
        gate_norm_act: bool = False,
        activate_out: bool = False,
        act_cfg: Cfg = _RELU,
        norm_cfg: Cfg = _LAYER_NORM,
    ) -> None:
        super().__init__()
        out_channels = out_channels or in_channels
        self.in_channels = in_channels
        self.gate_sigmoid, self.gate_norm_act, self.activate_out = gate_sigmoid, gate_norm_act, activate_out

        def norm(channels: int = feat_channels) -> nn.Module:
            return build_norm_layer(dict(norm_cfg), channels)[1]

        self.dynamic_layer = nn.Linear(in_channels, 2 * feat_channels)
        self.input_layer = nn.Linear(in_channels, 2 * feat_channels)
        self.input_gate = nn.Linear(feat_channels, feat_channels)
        self.update_gate = nn.Linear(feat_channels, feat_channels)
        self.gate_norm = norm() if gate_norm_act else nn.Identity()
        self.norm_in, self.norm_out = norm(), norm()
        self.input_norm_in, self.input_norm_out = norm(), norm()
        self.activation = build_activation_layer(dict(act_cfg))
        self.fc_layer = nn.Linear(feat_channels, out_channels)
        self.fc_norm = norm(out_channels)

    def forward(self, found: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """Features of what was found (B, K, C) and kernels (B, K, k * k, C) to new kernels (B, K, k * k, C)."""
        found, kernels = (x.unflatten(-1, (-1, self.in_channels)) for x in (found.unsqueeze(2), kernels))
        found_in, found_out = self.dynamic_layer(found).chunk(2, dim=-1)
        kernel_in, kernel_out = self.input_layer(kernels).chunk(2, dim=-1)
        gates = kernel_in * found_in
        if self.gate_norm_act:
            gates = self.activation(self.gate_norm(gates))
        kernel_gate = self.input_norm_in(self.input_gate(gates))
        found_gate = self.norm_in(self.update_gate(gates))
        if self.gate_sigmoid:
            kernel_gate, found_gate = kernel_gate.sigmoid(), found_gate.sigmoid()
        found_out, kernel_out = self.norm_out(found_out), self.input_norm_out(kernel_out)
        if self.activate_out:
            found_out, kernel_out = self.activation(found_out), self.activation(kernel_out)
        told = self.fc_norm(self.fc_layer(found_gate * found_out + kernel_gate * kernel_out))
        return self.activation(told).flatten(-2)


@MODELS.register_module()
class KernelUpdateHead(BaseModule):
    """One step: gather what the kernels' masks cover, tell kernels anew, let them attend to one another, convolve.

    Args:
        num_classes: K.
        num_ffn_fcs: Linear layers of the network behind the attention.
        num_heads: Of the attention.
        num_mask_fcs: Layers before kernels are applied.
        feedforward_channels: Inside that network.
        in_channels: C.
        out_channels: Channels of the kernels as they are applied: those of the map.
        dropout: The chance of a value of the attention and the network to be zeroed.
        act_cfg: Activation of the layers before kernels are applied.
        ffn_act_cfg: Activation of the network.
        conv_kernel_size: k.
        feat_transform_cfg: Arguments of a convolution that maps pass first; None is none.
        kernel_init: Begin with a bias that most classes are absent by; for losses of each class by itself.
        with_ffn: Have the network behind the attention.
        feat_gather_stride: Stride of that convolution.
        mask_transform_stride: By how much maps are made smaller before kernels are applied.
        kernel_updator_cfg: Config of what tells kernels anew.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int = 150,
        num_ffn_fcs: int = 2,
        *,
        num_heads: int = 8,
        num_mask_fcs: int = 3,
        feedforward_channels: int = 2048,
        in_channels: int = 256,
        out_channels: int = 256,
        dropout: float = 0.0,
        act_cfg: Cfg = _RELU,
        ffn_act_cfg: Cfg = _RELU,
        conv_kernel_size: int = 1,
        feat_transform_cfg: Cfg | None = None,
        kernel_init: bool = False,
        with_ffn: bool = True,
        feat_gather_stride: int = 1,
        mask_transform_stride: int = 1,
        kernel_updator_cfg: Cfg = _UPDATOR,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes, self.in_channels, self.out_channels = num_classes, in_channels, out_channels
        self.conv_kernel_size = conv_kernel_size
        self.mask_transform_stride = mask_transform_stride
        self.halve_features = mask_transform_stride == 2 and feat_gather_stride == 1
        self.kernel_init = kernel_init
        whole = in_channels * conv_kernel_size**2
        self.attention = MultiheadAttention(whole, num_heads, dropout, batch_first=True)
        self.attention_norm = nn.LayerNorm(whole)
        self.kernel_update_conv = MODELS.build(kernel_updator_cfg)
        self.feat_transform: nn.Module = nn.Identity()
        if feat_transform_cfg is not None:
            arguments = {"kernel_size": 1, "act_cfg": _RELU, **feat_transform_cfg}
            arguments |= {"stride": feat_gather_stride, "padding": feat_gather_stride // 2}
            self.feat_transform = ConvOptions().conv(in_channels, in_channels, **arguments)
        if with_ffn:
            self.ffn = FFN(
                in_channels, feedforward_channels, num_fcs=num_ffn_fcs, act_cfg=ffn_act_cfg, ffn_drop=dropout
            )
            self.ffn_norm = nn.LayerNorm(in_channels)
        self.mask_fcs = nn.ModuleList()
        for _ in range(num_mask_fcs):
            layers = [nn.Linear(in_channels, in_channels, bias=False), nn.LayerNorm(in_channels)]
            self.mask_fcs.extend([*layers, build_activation_layer(dict(act_cfg))])
        self.fc_mask = nn.Linear(in_channels, out_channels)

    def init_weights(self) -> None:
        """Draw matrices evenly (Glorot); with `kernel_init`, let the last layer's be near zero."""
        super().init_weights()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if self.kernel_init:
            nn.init.normal_(self.fc_mask.weight, mean=0, std=0.01)

    def forward(
        self, x: torch.Tensor, kernels: torch.Tensor, scores: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return new scores (B, K, h, w) and new kernels (B, K, C, k, k).

        Args:
            x: Features (B, C, h, w).
            kernels: (B, K, C, k, k).
            scores: Those of the kernels, (B, K, h', w').
        """
        x = self.feat_transform(x)
        masks = scores if scores.shape[2:] == x.shape[2:] else resize_like(scores, x)
        found = torch.einsum("bnhw,bchw->bnc", masks.softmax(dim=1), x)
        told = self.kernel_update_conv(found, kernels.flatten(3).transpose(2, 3))  # (B, K, k * k, C)
        told = self.attention_norm(self.attention(told.flatten(2))).unflatten(2, told.shape[2:])
        if hasattr(self, "ffn"):
            told = self.ffn_norm(self.ffn(told))
        applied = told
        for layer in self.mask_fcs:
            applied = layer(applied)
        filters = self.fc_mask(applied).transpose(2, 3)
        scores = self._convolve(x, filters)
        return scores, told.transpose(2, 3).unflatten(3, kernels.shape[3:])

    def _convolve(self, x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        """Features (B, C, h, w) by filters (B, K, C, k * k) of each image to (B, K, h, w)."""
        if self.halve_features:
            x = F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False)
        size = self.conv_kernel_size
        if size == 1:
            scores = torch.einsum("bnc,bchw->bnhw", filters.squeeze(3), x)
        else:
            whole = filters.unflatten(3, (size, size)).flatten(0, 1)
            stacked = F.conv2d(x.flatten(0, 1)[None], whole, padding=size // 2, groups=len(x))
            scores = stacked[0].unflatten(0, (len(x), -1))
        if self.mask_transform_stride == 2:
            scores = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
        return scores


@MODELS.register_module()
class IterativeDecodeHead(BaseModule):
    """A head whose last layer's weights are kernels, which further steps tell anew (Zhang et al., arXiv:2106.14855).

    Args:
        num_stages: Steps behind the first head.
        kernel_generate_head: Config or object of that head, a `BaseDecodeHead`.
        kernel_update_head: Configs or objects of the steps.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: there are not `num_stages` steps.
    """

    def __init__(
        self,
        num_stages: int,
        kernel_generate_head: Cfg | nn.Module,
        *,
        kernel_update_head: Sequence[Cfg | nn.Module],
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(kernel_update_head) != num_stages:
            raise ValueError(f"kernel_update_head has num_stages={num_stages} entries, not {len(kernel_update_head)}")
        self.num_stages = num_stages
        self.kernel_generate_head = MODELS.build(kernel_generate_head)
        self.kernel_update_head = nn.ModuleList(MODELS.build(head) for head in kernel_update_head)
        first = self.kernel_generate_head
        self.in_index, self.map_channels = first.in_index, first.map_channels
        self.num_classes, self.out_channels = first.num_classes, first.out_channels
        self.align_corners = first.align_corners
        self.threshold = first.threshold

    def forward(self, inputs: Maps) -> torch.Tensor:
        """Return the scores (B, K, h, w) of the last step."""
        return self.stages(inputs)[-1]

    def stages(self, inputs: Maps) -> list[torch.Tensor]:
        """Return the scores (B, K, h, w) of the first head and of each step."""
        first = self.kernel_generate_head
        feats = first.forward_feature(inputs)
        scores = [first.cls_seg(feats)]
        kernels = first.conv_seg.weight.expand(feats.shape[0], -1, -1, -1, -1)
        for step in self.kernel_update_head:
            told, kernels = step(feats, kernels, scores[-1])
            scores.append(told)
        return scores

    def loss(self, inputs: Maps, batch_data_samples: Sequence[SegDataSample], train_cfg: Any = None) -> Losses:
        """Return the losses of the first head, `*.s0`, and of each step, `*.s1`, ..."""
        return {
            f"{name}.s{index}": value
            for index, scores in enumerate(self.stages(inputs))
            for name, value in self.loss_by_feat(scores, batch_data_samples).items()
        }

    def loss_by_feat(self, seg_logits: torch.Tensor, batch_data_samples: Sequence[SegDataSample]) -> Losses:
        """Return the losses of scores (B, K, h, w)."""
        return self.kernel_generate_head.loss_by_feat(seg_logits, batch_data_samples)

    def predict(self, inputs: Maps, batch_img_metas: Metas, test_cfg: Any = None) -> torch.Tensor:
        """Return the scores (B, K, H, W), as large as the batch."""
        return self.kernel_generate_head.predict_by_feat(self(inputs), batch_img_metas)

    def labels_of(self, seg_logits: torch.Tensor) -> torch.Tensor:
        """Return the classes (B, 1, H, W) long that scores (B, K, H, W) tell."""
        return self.kernel_generate_head.labels_of(seg_logits)
