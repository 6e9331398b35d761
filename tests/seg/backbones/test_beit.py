"""BEiT and MAE: against timm's BEiT on the same weights, and maps of other sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from visuite.engine.registry import MODELS
from visuite.seg.backbones.beit import BEiT, offset_index, resize_biases

SMALL: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dims": 8, "num_layers": 2, "num_heads": 2}


def test_offsets_by_loops() -> None:
    rows, columns = 2, 3
    index = offset_index((rows, columns))
    places = [(y, x) for y in range(rows) for x in range(columns)]
    numbers: dict[tuple[int, int], int] = {}
    for i, (y, x) in enumerate(places, start=1):
        for j, (v, u) in enumerate(places, start=1):
            assert numbers.setdefault((y - v, x - u), int(index[i, j])) == index[i, j]
    assert sorted(numbers.values()) == list(range(15))
    assert index[0, 1:].unique().tolist() == [15]
    assert index[1:, 0].unique().tolist() == [16]
    assert index[0, 0] == 17


@torch.no_grad()
def test_same_features_as_timm_from_its_weights() -> None:
    beit = pytest.importorskip("timm.models.beit")
    torch.manual_seed(0)
    theirs = beit.Beit(
        img_size=32, patch_size=8, embed_dim=8, depth=2, num_heads=2, num_classes=0, init_values=0.1,
        use_abs_pos_emb=False, use_rel_pos_bias=True, global_pool="token",
    ).eval()  # fmt: skip
    for one in theirs.parameters():
        one.normal_(std=0.5)
    state = {}
    for name, value in theirs.state_dict().items():
        if name.startswith("norm.") or name.startswith("fc_norm") or "rel_pos_bias." in name:
            continue
        name = name.replace("patch_embed.proj.", "patch_embed.projection.").replace("blocks.", "layers.")
        name = name.replace("norm1", "ln1").replace("norm2", "ln2")
        state[name.replace("mlp.fc1", "ffn.layers.0.0").replace("mlp.fc2", "ffn.layers.1")] = value
    mine = BEiT(**SMALL).eval()
    missing = mine.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) <= {f"layers.{i}.attn.relative_position_index" for i in range(2)}
    assert all("k_bias" in name or "index" in name for name in missing.unexpected_keys)
    images = torch.randn(2, 3, 32, 32)
    (found,) = mine(images)
    x = theirs.patch_embed(images)
    x = torch.cat([theirs.cls_token.expand(2, -1, -1), x], 1)
    for block in theirs.blocks:
        x = block(x)
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), x[:, 1:], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_images_and_checkpoints_of_other_sizes() -> None:
    torch.manual_seed(0)
    one = MODELS.build({"type": "seg.MAE", **SMALL}).eval()
    for layer in one.layers:
        layer.attn.relative_position_bias_table.normal_()
    assert one(torch.randn(1, 3, 48, 24))[0].shape == (1, 8, 6, 3)
    large = MODELS.build({"type": "seg.MAE", **{**SMALL, "img_size": 48}}).eval()
    large.load_state_dict(one.state_dict())
    images = torch.randn(1, 3, 48, 48)
    torch.testing.assert_close(large(images)[0], one(images)[0])


def test_biases_of_the_same_size_stay_and_smooth_ones_are_kept() -> None:
    table = torch.randn(3 * 5 + 3, 2)
    torch.testing.assert_close(resize_biases(table, (2, 3), (2, 3)), table)
    slope = torch.arange(-3.0, 4.0).repeat(7, 1).reshape(-1, 1)
    wide = resize_biases(torch.cat([slope, torch.tensor([[7.0], [8.0], [9.0]])]), (4, 4), (7, 7))
    assert wide[-3:, 0].tolist() == [7, 8, 9]
    middle = wide[:-3, 0].reshape(13, 13)[6, 2:-2]
    torch.testing.assert_close(middle, torch.linspace(-3, 3, 13)[2:-2], atol=0.05, rtol=0)


def test_names_and_depths() -> None:
    names = set(BEiT(**SMALL).state_dict())
    assert {"layers.0.attn.q_bias", "layers.0.attn.relative_position_bias_table", "layers.1.gamma_2"} <= names
    assert not {"pos_embed", "layers.0.attn.qkv.bias"} & names
    names = set(MODELS.build({"type": "seg.MAE", **SMALL}).state_dict())
    assert {"pos_embed", "layers.0.attn.qkv.bias"} <= names
    assert "layers.0.attn.q_bias" not in names
    one = BEiT(**SMALL)
    depths = {name: one.get_layer_depth(f"backbone.{name}", "backbone.")[0] for name in one.state_dict()}
    assert depths["cls_token"] == depths["patch_embed.projection.weight"] == 0
    assert depths["layers.1.gamma_1"] == 2
    assert one.get_layer_depth("decode_head.conv_seg.weight", "backbone.") == (3, 4)
