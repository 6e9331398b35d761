"""Vision transformers: outputs, positions and depths."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from visuite.cv.backbones import DistilledVisionTransformer, VisionTransformer

ARCH = {"embed_dims": 16, "num_layers": 3, "num_heads": 2, "feedforward_channels": 24}


def make(**more: Any) -> VisionTransformer:
    return VisionTransformer(**{"arch": ARCH, "img_size": 32, "patch_size": 8, **more}).eval()


@torch.no_grad()
def test_output_types_agree() -> None:
    raw = make(out_type="raw", out_indices=(0, 2))
    images = torch.randn(2, 3, 32, 40)
    want = raw(images)
    for kind in ("cls_token", "featmap", "avg_featmap"):
        part = make(out_type=kind, out_indices=(0, 2))
        part.load_state_dict(raw.state_dict(), strict=False)
        for got, tokens in zip(part(images), want, strict=True):
            patches = tokens[:, 1:]
            if kind == "cls_token":
                torch.testing.assert_close(got, tokens[:, 0])
            elif kind == "featmap":
                torch.testing.assert_close(got[:, :, 1, 3], patches[:, 1 * 5 + 3])
            else:
                torch.testing.assert_close(got, part.ln2(patches.mean(1)))


@torch.no_grad()
def test_maps_with_class_tokens() -> None:
    alone, paired = make(out_type="featmap"), make(out_type="featmap", output_cls_token=True)
    token = make()
    for part in (alone, paired):
        part.load_state_dict(token.state_dict())
    images = torch.randn(2, 3, 32, 32)
    map_, cls_token = paired(images)[-1]
    torch.testing.assert_close(map_, alone(images)[-1])
    torch.testing.assert_close(cls_token, token(images)[-1])
    with pytest.raises(ValueError, match="output_cls_token"):
        make(output_cls_token=True)


def test_distilled_gives_pairs() -> None:
    part = DistilledVisionTransformer(ARCH, img_size=32, patch_size=8)
    assert part.pos_embed.shape == (1, 2 + 16, 16)
    cls_token, dist_token = part(torch.randn(2, 3, 32, 32))[-1]
    assert cls_token.shape == dist_token.shape == (2, 16)
    assert not torch.equal(cls_token, dist_token)


@torch.no_grad()
def test_checkpoint_of_another_size() -> None:
    small, large = make(), make(img_size=64)
    state = small.state_dict()
    state["pos_embed"][:, 1:] = 2.5  # interpolation keeps what is the same everywhere
    large.load_state_dict(state)
    assert large.pos_embed.shape == (1, 65, 16)
    torch.testing.assert_close(large.pos_embed[:, 1:], torch.full((1, 64, 16), 2.5))
    torch.testing.assert_close(large.pos_embed[:, 0], small.pos_embed[:, 0])
    bare = make(with_cls_token=False, out_type="featmap")
    bare.load_state_dict(small.state_dict(), strict=False)
    torch.testing.assert_close(bare.pos_embed, small.pos_embed[:, 1:])


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("backbone.cls_token", 0),
        ("backbone.pos_embed", 0),
        ("backbone.patch_embed.projection.weight", 0),
        ("backbone.layers.0.ln1.weight", 1),
        ("backbone.layers.2.ffn.layers.1.bias", 3),
        ("backbone.ln1.weight", 4),
        ("head.fc.weight", 4),
    ],
)
def test_layer_depth(name: str, depth: int) -> None:
    assert make().get_layer_depth(name, "backbone.") == (depth, 5)


def test_sizes_beside_the_name() -> None:
    part = VisionTransformer("deit-tiny", embed_dims=24, num_layers=1, img_size=32, mlp_ratio=2)
    assert len(part.layers) == 1
    assert part.layers[0].ffn.feedforward_channels == 48
    assert VisionTransformer("deit-t", num_layers=1, img_size=32).layers[0].ffn.feedforward_channels == 768


def test_all_layers_frozen() -> None:
    part = make(frozen_stages=3).train()
    assert not any(parameter.requires_grad for parameter in part.parameters())
    assert not part.layers[2].training
