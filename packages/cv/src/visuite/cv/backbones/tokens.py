"""What transformers share: how their weights start, how their depth drops paths, and tokens as maps.

Shapes: B images, H rows and W columns of tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.position import resize_pos_embed, square_side

Cfg = Mapping[str, Any]
State = dict[str, Any]

#: How transformers start where nothing else is said.
TOKEN_INIT: tuple[Cfg, ...] = (
    {"type": "TruncNormal", "layer": "Linear", "std": 0.02},
    {"type": "Kaiming", "layer": "Conv2d", "mode": "fan_in", "nonlinearity": "linear"},
    {"type": "Constant", "layer": ["LayerNorm", "GroupNorm", "_BatchNorm"], "val": 1},
)


def token_init(init_cfg: Any, pretrained: str | None = None) -> Any:
    """Return the `init_cfg` of a transformer: the user's, else `TOKEN_INIT`, unless a checkpoint is named instead."""
    return list(TOKEN_INIT) if init_cfg is None and pretrained is None else init_cfg


def drop_path_rates(last: float, count: int) -> list[float]:
    """Return the chance of each block to be dropped: evenly from 0 to `last`."""
    return [last * index / max(count - 1, 1) for index in range(count)]


def drop_path_cfg(rate: float) -> dict[str, Any]:
    """Return the config of a dropped path."""
    return {"type": "DropPath", "drop_prob": rate}


def learnt_tokens(*shape: int) -> nn.Parameter:
    """Return tokens or embeddings that are learnt, near zero."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(*shape), std=0.02))


def to_map(tokens: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """(B, H * W, C) to (B, C, H, W)."""
    return tokens.transpose(1, 2).unflatten(2, tuple(shape)).contiguous()


def to_tokens(x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
    """(B, C, H, W) to (B, H * W, C), and (H, W)."""
    return x.flatten(2).transpose(1, 2), (x.shape[2], x.shape[3])


def fit_pos_embed(name: str, shape: Callable[[], tuple[int, int]], *, extra: int, mode: str) -> Callable[..., None]:
    """Return a hook that fits the position embedding of a checkpoint to images of another size.

    A checkpoint's grid is taken to be square; one class token too many is dropped.

    Args:
        name: The embedding's name.
        shape: Gives the rows and columns of the model's grid.
        extra: Tokens in front that stand nowhere.
        mode: How to interpolate.
    """

    def hook(module: nn.Module, state: State, prefix: str, *_: Any) -> None:
        own, key = getattr(module, name), prefix + name
        given = state.get(key)
        if own is None or given is None or given.ndim != 3 or given.shape == own.shape:
            return
        if extra == 0 and given.shape[1] == own.shape[1] + 1:
            given = given[:, 1:]
        side = square_side(given.shape[1] - extra)
        state[key] = resize_pos_embed(given, (side, side), shape(), mode=mode, num_extra_tokens=extra)

    return hook
