"""Encoders and decoders of detectors that look at an image through queries (Carion et al., arXiv:2005.12872).

Shapes: B images, S pixels of all levels together, Q queries, C channels, L levels, D numbers of a reference (2: a
point, 4: a box `cxcywh`), all between 0 and 1 of the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import FFN, MultiheadAttention, build_norm_layer
from visuite.cv.ops import MultiScaleDeformableAttention
from visuite.engine.model import BaseModule

Cfg = Mapping[str, Any]
LAYER_NORM: Cfg = {"type": "LN"}


class TransformerLayer(BaseModule):
    """Attentions and a network, each followed by a norm.

    Names of parameters: self_attn, cross_attn, ffn, norms.i.

    Args:
        self_attn_cfg: Arguments of the attention of the tokens to each other.
        ffn_cfg: Arguments of `FFN`.
        cross_attn_cfg: Arguments of the attention to the encoder's memory; None is none, as in an encoder.
        norm_cfg: Config of the norms.
        deformable: Tokens look at a few points of all levels: those of an encoder at each other, those of a decoder at
            the memory.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        self_attn_cfg: Cfg,
        ffn_cfg: Cfg,
        *,
        cross_attn_cfg: Cfg | None = None,
        norm_cfg: Cfg = LAYER_NORM,
        deformable: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        encodes = cross_attn_cfg is None
        self.self_attn = _attention(self_attn_cfg, deformable=deformable and encodes)
        if cross_attn_cfg is not None:
            self.cross_attn = _attention(cross_attn_cfg, deformable=deformable)
        self.ffn = FFN(**ffn_cfg)
        width: int = self.self_attn.embed_dims
        count = 2 if encodes else 3
        self.norms = nn.ModuleList(build_norm_layer(dict(norm_cfg), width)[1] for _ in range(count))

    def forward(
        self,
        query: torch.Tensor,
        query_pos: torch.Tensor | None,
        *,
        memory: torch.Tensor | None = None,
        memory_pos: torch.Tensor | None = None,
        padding: torch.Tensor | None = None,
        self_attn_mask: torch.Tensor | None = None,
        **where: Any,
    ) -> torch.Tensor:
        """Return tokens of the queries' shape.

        Args:
            query: (B, S, C) in an encoder, (B, Q, C) in a decoder.
            query_pos: What is added for attention: the positions, of the same shape.
            memory: (B, S, C), what a decoder looks at.
            memory_pos: Its positions, of its shape.
            padding: (B, S) bool, where there is no image.
            self_attn_mask: (Q, Q) bool, which queries do not see which.
            **where: `reference_points` (B, Q, L, D) and `spatial_shapes` (L, 2), for deformable attention.
        """
        own = {"key_padding_mask": padding, **where} if memory is None else {"attn_mask": self_attn_mask}
        query = self.norms[0](self.self_attn(query, query_pos=query_pos, key_pos=query_pos, **own))
        if memory is not None:
            seen = self.cross_attn(
                query,
                key=memory,
                value=memory,
                query_pos=query_pos,
                key_pos=memory_pos,
                key_padding_mask=padding,
                **where,
            )
            query = self.norms[1](seen)
        return self.norms[-1](self.ffn(query))


class Transformer(BaseModule):
    """Layers one after another.

    Names of parameters: layers.i, post_norm.

    Args:
        num_layers: How many there are.
        layer_cfg: Arguments of `TransformerLayer`, or one set of them for each layer.
        post_norm_cfg: Config of a norm behind each layer's result; None is none.
        deformable: See `TransformerLayer`.
        return_intermediate: Hand out the results of all layers, not of the last alone.
        num_cp: Compute activations of the first so many layers again in the backward pass; without effect here.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_layers: int,
        layer_cfg: Cfg | Sequence[Cfg],
        *,
        post_norm_cfg: Cfg | None = None,
        deformable: bool = False,
        return_intermediate: bool = False,
        num_cp: int = -1,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        each = [layer_cfg] * num_layers if isinstance(layer_cfg, Mapping) else layer_cfg
        self.layers = nn.ModuleList(TransformerLayer(**one, deformable=deformable) for one in each)
        first: Any = self.layers[0]
        self.embed_dims: int = first.self_attn.embed_dims
        self.return_intermediate = return_intermediate
        if post_norm_cfg is not None:
            self.post_norm = build_norm_layer(dict(post_norm_cfg), self.embed_dims)[1]

    @property
    def num_layers(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    def normed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens behind the norm that all layers share."""
        return self.post_norm(tokens) if hasattr(self, "post_norm") else tokens

    def forward(self, query: torch.Tensor, query_pos: torch.Tensor | None, **kwargs: Any) -> torch.Tensor:
        """Return tokens (B, S, C), or of each layer (layers, B, Q, C); arguments as of `TransformerLayer`."""
        every = []
        for layer in self.layers:
            query = layer(query, query_pos, **kwargs)
            every.append(query)
        if not self.return_intermediate:
            return self.normed(query)
        return torch.stack([self.normed(one) for one in every])


def _attention(cfg: Cfg, *, deformable: bool) -> Any:
    """Build an attention over (B, S, C); `batch_first` may be left out or must be true."""
    kind = MultiScaleDeformableAttention if deformable else MultiheadAttention
    if not cfg.get("batch_first", True):
        raise ValueError("batch_first=False: tokens of detectors are (B, S, C)")
    return kind(**{"embed_dims": 256, **cfg, "batch_first": True})


def inverse_sigmoid(x: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Return the numbers whose sigmoids are given, those nearer than `eps` to 0 or 1 being moved there."""
    return (x.clamp(eps, 1.0) / (1 - x).clamp(eps, 1.0)).log()


def padding_masks(
    img_metas: Sequence[Mapping[str, Any]], batch_shape: tuple[int, int], device: torch.device
) -> torch.Tensor:
    """Return where a batch holds no image: (B, H, W) float, 1 outside of each image's `img_shape`."""
    masks = torch.ones((len(img_metas), *batch_shape), device=device)
    for mask, meta in zip(masks, img_metas, strict=True):
        h, w = meta["img_shape"][:2]
        mask[:h, :w] = 0
    return masks
