"""Swin checkpoints with the names that the paper's authors gave.

There, stages are `layers`, the network of a block is `mlp.fc1` and `mlp.fc2`, and a merging lays the four neighbours
one behind another with all their channels, in the order of columns first.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

_RULES = (
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^layers\.", "stages."),
    (r"\.attn\.", ".attn.w_msa."),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
)
#: What can be computed, or belongs to the classifier.
_LEFT_OUT = re.compile(r"attn_mask$|^head\.|^norm\.")


def from_published(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Rename and reorder the weights of a published checkpoint in place; others stay as they are."""
    names = [name for name in state if name.startswith(prefix)]
    if not any(name.removeprefix(prefix).startswith("layers.") for name in names):
        return
    for name in names:
        value, short = state.pop(name), name.removeprefix(prefix)
        if _LEFT_OUT.search(short):
            continue
        if ".downsample." in short and value.shape[-1] % 4 == 0:
            value = _reorder(value)
        for pattern, new in _RULES:
            short = re.sub(pattern, new, short)
        state[prefix + short] = value


def _reorder(weight: torch.Tensor) -> torch.Tensor:
    """(..., 4 * C) from neighbour after neighbour to channel after channel, neighbours row by row."""
    return weight.unflatten(-1, (2, 2, -1)).movedim(-1, -3).transpose(-1, -2).flatten(-3)
