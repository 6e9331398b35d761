"""The blocks and stages of Swin.

Shapes: B images, H rows and W columns of tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.ffn import FFN
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.patch_embed import PatchMerging
from visuite.cv.layers.recompute import recompute
from visuite.cv.layers.window_attention import ShiftWindowMSA

Cfg = Mapping[str, Any]
_LAYER_NORM: Cfg = {"type": "LN"}
_GELU: Cfg = {"type": "GELU"}


class SwinBlock(nn.Module):
    """Attention in windows, then a network on each token; norms come first.

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        window_size: Side of a window.
        shift: Shift the windows by half of that.
        ffn_ratio: Channels inside the network, in C.
        qkv_bias: Whether queries, keys and values have a bias.
        qk_scale: Factor of their products.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path: The chance of a sample to lose a residual.
        act_cfg: The network's activation.
        norm_cfg: The norms' config.
        pad_small_map: See `ShiftWindowMSA`.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        attn_cfgs: More arguments of the attention.
        ffn_cfgs: More arguments of the network.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int = 7,
        *,
        shift: bool = False,
        ffn_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path: float = 0.0,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LAYER_NORM,
        pad_small_map: bool = False,
        with_cp: bool = False,
        attn_cfgs: Cfg | None = None,
        ffn_cfgs: Cfg | None = None,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        path = {"type": "DropPath", "drop_prob": drop_path}
        attention: dict[str, Any] = {
            "window_size": window_size,
            "shift_size": window_size // 2 if shift else 0,
            "qkv_bias": qkv_bias,
            "qk_scale": qk_scale,
            "attn_drop": attn_drop_rate,
            "proj_drop": drop_rate,
            "dropout_layer": path,
            "pad_small_map": pad_small_map,
        }
        network: dict[str, Any] = {
            "feedforward_channels": int(embed_dims * ffn_ratio),
            "ffn_drop": drop_rate,
            "act_cfg": act_cfg,
            "dropout_layer": path,
        }
        self.norm1 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.attn = ShiftWindowMSA(embed_dims, num_heads, **{**attention, **(attn_cfgs or {})})
        self.norm2 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.ffn = FFN(embed_dims, **{**network, **(ffn_cfgs or {})})

    def forward(self, x: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """Tokens (B, H * W, C), and (H, W), to tokens of the same shape."""

        def run(x: torch.Tensor) -> torch.Tensor:
            x = x + self.attn(self.norm1(x), shape)
            return self.ffn(self.norm2(x), identity=x)

        return recompute(run, x, enabled=self.with_cp)


class SwinStage(nn.Module):
    """Blocks, of which every second has shifted windows, and a merging of tokens for the next stage.

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        drop_paths: For each block, the chance of a sample to lose a residual.
        block_cfgs: More arguments of the blocks.
        merge_cfgs: More arguments of the merging; None is none.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        drop_paths: Sequence[float],
        block_cfgs: Cfg,
        merge_cfgs: Cfg | None,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.out_channels = embed_dims if merge_cfgs is None else 2 * embed_dims
        self.blocks = nn.ModuleList(
            SwinBlock(embed_dims, num_heads, **{"shift": index % 2 == 1, "drop_path": rate, **block_cfgs})
            for index, rate in enumerate(drop_paths)
        )
        self.downsample: PatchMerging | None = None
        if merge_cfgs is not None:
            self.downsample = PatchMerging(embed_dims, self.out_channels, **merge_cfgs)

    def forward(self, x: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """Tokens (B, H * W, C), and (H, W), to tokens of the same shape: the blocks alone."""
        for block in self.blocks:
            x = block(x, shape)
        return x

    def merge(self, x: torch.Tensor, shape: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
        """Return the tokens for the next stage, and their rows and columns."""
        return (x, shape) if self.downsample is None else self.downsample(x, shape)
