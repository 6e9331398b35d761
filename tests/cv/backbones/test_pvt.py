"""Pyramid transformers: published names, and small maps."""

from __future__ import annotations

import torch

from visuite.engine.model import load_state_dict
from visuite.engine.registry import MODELS

SMALL = {"embed_dims": 8, "num_layers": (1, 1), "num_stages": 2, "num_heads": (1, 2), "out_indices": (0, 1)}


def published(name: str, *, with_conv: bool) -> str:
    """The name here to that of the papers' authors."""
    _, stage, part, rest = name.split(".", 3) if name.count(".") > 2 else (*name.split("."), "")
    number = int(stage) + 1
    if part == "0":
        return f"patch_embed{number}." + rest.replace("projection", "proj")
    if part == "2":
        return f"norm{number}.{rest}"
    if rest == "0.pos_embed":
        return f"pos_embed{number}"
    block, inside = rest.split(".", 1)
    block = str(int(block) - (not with_conv))
    inside = inside.replace("attn.attn.out_proj", "attn.proj").replace("ffn.layers.0.", "mlp.fc1.")
    inside = inside.replace("ffn.layers.1.", "mlp.dwconv.dwconv.")
    inside = inside.replace("ffn.layers.4.", "mlp.fc2.").replace("ffn.layers.3.", "mlp.fc2.")
    return f"block{number}.{block}.{inside}"


@torch.no_grad()
def test_published_names() -> None:
    for kind in ("PyramidVisionTransformer", "PyramidVisionTransformerV2"):
        torch.manual_seed(0)
        one = MODELS.build({"type": kind, **SMALL, "pretrain_img_size": 32}).eval()
        other = MODELS.build({"type": kind, **SMALL, "pretrain_img_size": 32}).eval()
        state = {"head.weight": torch.zeros(3)}
        for name, value in one.state_dict().items():
            new = published(name, with_conv=kind.endswith("V2"))
            if "in_proj" in new:
                query, rest = value.split([len(value) // 3, len(value) // 3 * 2])
                state[new.replace("attn.in_proj_", "q.")], state[new.replace("attn.in_proj_", "kv.")] = query, rest
            else:
                state[new] = value.flatten(1) if ".fc" in new and value.ndim == 4 else value
        load_state_dict(other, state, strict=True)
        images = torch.randn(1, 3, 32, 32)
        for left, right in zip(one(images), other(images), strict=True):
            torch.testing.assert_close(left, right)


def test_maps_smaller_than_the_reduction() -> None:
    maps = MODELS.build({"type": "MixVisionTransformer", **SMALL})(torch.randn(1, 3, 20, 44))
    assert [tuple(one.shape[2:]) for one in maps] == [(5, 11), (3, 6)]
