"""Twins against timm's models on the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from visuite.cv.backbones import PCPVT, SVT
from visuite.engine.registry import MODELS

SMALL: dict[str, Any] = {"embed_dims": (8, 16), "depths": (2, 2), "num_heads": (1, 2), "mlp_ratios": (2, 2)}
SMALL |= {"patch_sizes": (4, 2), "strides": (4, 2), "sr_ratios": (4, 2), "out_indices": (0, 1), "qkv_bias": True}
LOCAL = {**SMALL, "window_sizes": (3, 3)}


def ours(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """A parameter of timm's model by the name that it has here; queries and keys with values are one there."""
    for old, new in (("pos_block", "position_encodings"), ("blocks", "layers")):
        if name.startswith(old):
            name = name.replace(old, new, 1)
    name = name.replace("proj.0.", "proj.") if name.startswith("position") else name
    if name.startswith("patch_embeds"):
        name = name.replace(".proj.", ".projection.")
    name = name.replace("mlp.fc1", "ffn.layers.0.0").replace("mlp.fc2", "ffn.layers.1")
    return {name: value}


@pytest.mark.parametrize("kind", ["pcpvt", "svt"])
@torch.no_grad()
def test_same_features_as_timm_from_its_weights(kind: str) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    side = 224 if kind == "svt" else 64  # with 224 windows of 7 need no padding, to which timm's attend
    theirs = timm.create_model(f"twins_{kind}_small", num_classes=0, img_size=side).eval()
    cls = PCPVT if kind == "pcpvt" else SVT
    mine = cls("small", qkv_bias=True, norm_cfg={"type": "LN", "eps": 1e-6}, out_indices=(3,)).eval()
    state: dict[str, torch.Tensor] = {}
    for name, value in theirs.state_dict().items():
        state.update(ours(name, value))
    for name in [name for name in state if ".attn.q." in name]:
        prefix, _, part = name.rpartition(".q.")
        state[f"{prefix}.attn.in_proj_{part}"] = torch.cat([state.pop(name), state.pop(f"{prefix}.kv.{part}")])
        state[f"{prefix}.attn.out_proj.{part}"] = state.pop(f"{prefix}.proj.{part}")
    norm = {part: state.pop(f"norm.{part}") for part in ("weight", "bias")}
    missing = mine.load_state_dict(state, strict=False)
    assert not missing.missing_keys, missing.missing_keys[:5]
    assert not missing.unexpected_keys, missing.unexpected_keys[:5]
    images = torch.randn(1, 3, side, side)
    (found,) = mine(images)
    expected = theirs.forward_features(images)
    told = torch.nn.functional.layer_norm(found.flatten(2).transpose(1, 2), (512,), norm["weight"], norm["bias"], 1e-6)
    torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_padding_is_not_looked_at() -> None:
    torch.manual_seed(0)
    model = SVT(**{**LOCAL, "depths": (1, 1), "window_sizes": (5, 5)}).eval()
    attention = model.layers[0][0].attn
    tokens = torch.randn(1, 12, 8)  # 3 rows of 4, in one window of 5 x 5
    plain = attention.attend_in_windows(tokens, (3, 4), torch.zeros_like(tokens))
    query, key, value = attention.qkv(tokens).chunk(3, dim=-1)
    weights = (query @ key.transpose(1, 2) / 8**0.5).softmax(-1)
    torch.testing.assert_close(plain, attention.proj(weights @ value))


def test_names_of_classification_and_spelling_of_published_configs() -> None:
    dense = set(SVT(**LOCAL, norm_after_stage=True).state_dict())
    flags = {"norm_after_stage": (False, True), "key_style": "cls"}
    cls = set(SVT(**SMALL, windiow_sizes=(3, 3), **flags).state_dict())
    assert {"layers.1.0.attn.qkv.weight", "norm_list.1.weight"} <= dense
    assert {"stages.1.0.attn.qkv.weight", "norm_after_stage1.weight"} <= cls
    assert "norm_after_stage0.weight" not in cls


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="PCPVT has no 'tiny'"):
        MODELS.build({"type": "PCPVT", "arch": "tiny"})
    with pytest.raises(ValueError, match="sr_ratios of PCPVT has 2 entries"):
        PCPVT(**{**SMALL, "sr_ratios": (1,)})
    with pytest.raises(ValueError, match="key_style"):
        PCPVT(**SMALL, key_style="det")
