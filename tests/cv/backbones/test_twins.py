"""Twins: padding, names and arguments."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from visuite.cv.backbones import PCPVT, SVT
from visuite.engine.registry import MODELS

SMALL: dict[str, Any] = {"embed_dims": (8, 16), "depths": (2, 2), "num_heads": (1, 2), "mlp_ratios": (2, 2)}
SMALL |= {"patch_sizes": (4, 2), "strides": (4, 2), "sr_ratios": (4, 2), "out_indices": (0, 1), "qkv_bias": True}
LOCAL = {**SMALL, "window_sizes": (3, 3)}


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
