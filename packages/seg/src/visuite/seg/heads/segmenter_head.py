"""The head of Segmenter.

Shapes: B images, I channels of the map, C channels of tokens, K classes, h rows, w columns, N = h * w.

Names of parameters: layers.<layer>.{ln1,attn.attn,ln2,ffn}, dec_proj, cls_emb, patch_proj, classes_proj, decoder_norm,
mask_norm.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones.tokens import drop_path_rates
from visuite.cv.layers import TransformerEncoderLayer, build_norm_layer
from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers.conv_options import Cfg
from visuite.seg.registry import MODELS

_GELU: Cfg = {"type": "GELU"}
_LAYER_NORM: Cfg = {"type": "LN"}
_INIT: tuple[Cfg, ...] = (
    {"type": "TruncNormal", "layer": "Linear", "std": 0.02},
    {"type": "Constant", "layer": "LayerNorm", "val": 1.0, "bias": 0},
)


@MODELS.register_module()
class SegmenterMaskTransformerHead(BaseDecodeHead):
    """A transformer on patches and classes; a pixel is of the class whose token is like its own (arXiv:2105.05633).

    Args:
        num_layers: Of the transformer.
        num_heads: Of its attention.
        embed_dims: C.
        mlp_ratio: Channels inside the layers' networks, in C.
        drop_path_rate: The chance of a sample to lose a residual of the last layer; it grows from 0.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        num_fcs: Linear layers of the layers' networks.
        qkv_bias: Whether queries, keys and values have a bias.
        act_cfg: The networks' activation.
        norm_cfg: The norms' config.
        init_std: How far linear layers and classes' tokens begin from zero.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        num_heads: int,
        embed_dims: int,
        mlp_ratio: int = 4,
        drop_path_rate: float = 0.1,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LAYER_NORM,
        init_std: float = 0.02,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        drawn = [{**one, "std": init_std} if "std" in one else one for one in _INIT]
        super().__init__(init_cfg=drawn if init_cfg is None else init_cfg, **kwargs)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(
                embed_dims,
                num_heads,
                mlp_ratio * embed_dims,
                drop_rate=drop_rate,
                attn_drop_rate=attn_drop_rate,
                drop_path_rate=rate,
                num_fcs=num_fcs,
                qkv_bias=qkv_bias,
                act_cfg=act_cfg,
                norm_cfg=norm_cfg,
                key_style="dense",
            )
            for rate in drop_path_rates(drop_path_rate, num_layers)
        )
        self.dec_proj = nn.Linear(self.in_channels, embed_dims)
        self.cls_emb = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, self.out_channels, embed_dims), std=init_std))
        self.patch_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.classes_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.decoder_norm = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.mask_norm = build_norm_layer(dict(norm_cfg), self.out_channels)[1]

    def _make_classifier(self) -> None:
        """Make nothing: pixels are classified by the classes' tokens."""

    def forward(self, inputs: Maps) -> torch.Tensor:
        """Return the scores (B, K, h, w) of maps."""
        x = self._transform_inputs(inputs)
        patches = self.dec_proj(x.flatten(2).transpose(1, 2))
        count = patches.shape[1]
        tokens = torch.cat([patches, self.cls_emb.expand(x.shape[0], -1, -1)], dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.decoder_norm(tokens)
        patches = F.normalize(self.patch_proj(tokens[:, :count]), dim=2)
        classes = F.normalize(self.classes_proj(tokens[:, count:]), dim=2)
        scores = self.mask_norm(patches @ classes.transpose(1, 2))  # (B, N, K)
        return scores.transpose(1, 2).unflatten(2, x.shape[2:])
