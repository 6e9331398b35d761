"""Checkpoints of pyramid transformers with the names that the papers' authors gave.

There, stage i = 1..4 is `patch_embed<i>`, `block<i>`, `norm<i>` and `pos_embed<i>`, queries have a linear layer of
their own, `q`, keys and values one together, `kv`, and a block's network is `mlp.{fc1,dwconv.dwconv,fc2}`.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

_STAGE = re.compile(r"^(patch_embed|block|norm|pos_embed)(\d)(?:\.(.*))?$")
_RULES = (
    (r"attn\.proj\.", "attn.attn.out_proj."),
    (r"mlp\.fc1\.", "ffn.layers.0."),
    (r"mlp\.dwconv\.dwconv\.", "ffn.layers.1."),
)


def from_published(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Rename the weights of a published checkpoint in place; others stay as they are."""
    names = [name for name in state if name.startswith(prefix)]
    if not any(name.startswith(prefix + "patch_embed1.") for name in names):
        return
    found = {name.removeprefix(prefix): state.pop(name) for name in names}
    with_conv = any(".dwconv." in name for name in found)
    with_places = any(name.startswith("pos_embed") for name in found)
    for name, value in found.items():
        if name.endswith((".attn.kv.weight", ".attn.kv.bias")):
            continue  # goes with its queries
        new = _renamed(name, with_conv=with_conv, with_places=with_places)
        if ".attn.q." in name:
            value = torch.cat([value, found[name.replace(".attn.q.", ".attn.kv.")]])
        if name.endswith((".fc1.weight", ".fc2.weight")):
            value = value[..., None, None]  # linear layers stand as 1x1 convolutions
        if new is not None:
            state[prefix + new] = value


def _renamed(name: str, *, with_conv: bool, with_places: bool) -> str | None:
    """Return the name here; None where there is no such part, as with the classifier."""
    match = _STAGE.match(name)
    if match is None:
        return None
    part, stage, rest = match[1], int(match[2]) - 1, match[3]
    if part == "patch_embed":
        return f"layers.{stage}.0." + re.sub(r"^proj\.", "projection.", rest)
    if part == "norm":
        return f"layers.{stage}.2.{rest}"
    if part == "pos_embed":
        return f"layers.{stage}.1.0.pos_embed"
    block, inside = rest.split(".", 1)
    inside = re.sub(r"^attn\.q\.(weight|bias)$", r"attn.attn.in_proj_\1", inside)
    inside = inside.replace("mlp.fc2.", f"ffn.layers.{4 if with_conv else 3}.")
    for pattern, new in _RULES:
        inside = re.sub(pattern, new, inside)
    return f"layers.{stage}.1.{int(block) + with_places}.{inside}"
