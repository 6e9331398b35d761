"""Layers of transformers, against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from visuite.cv.backbones.xcit_layers import CrossCovarianceAttention
from visuite.cv.layers import (
    FFN,
    AdaptivePadding,
    LayerScale,
    LearnedPositionalEncoding,
    MultiheadAttention,
    PatchEmbed,
    PatchMerging,
    Scale,
    SelfAttention,
    ShiftWindowMSA,
    SinePositionalEncoding,
    SwiGLUFFN,
    TransformerEncoderLayer,
    WindowMSA,
    resize_pos_embed,
)
from visuite.engine.registry import MODELS


@settings(max_examples=50, deadline=None)
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 3),
    padding=st.sampled_from(["corner", "same"]),
)
def test_adaptive_padding(size: tuple[int, int], kernel: int, stride: int, dilation: int, padding: str) -> None:
    x = torch.rand(1, 1, *size)
    out = AdaptivePadding(kernel, stride, dilation, padding)(x)
    conv = F.conv2d(out, torch.ones(1, 1, kernel, kernel), stride=stride, dilation=dilation)
    assert conv.shape[2:] == tuple(math.ceil(one / stride) for one in size)
    torch.testing.assert_close(out.sum(), x.sum())
    if padding == "corner":
        assert torch.equal(out[..., : size[0], : size[1]], x)


@torch.no_grad()
def test_patch_embed_is_linear_in_each_patch() -> None:
    embed = PatchEmbed(3, 5, kernel_size=4, norm_cfg={"type": "LN"}, input_size=(9, 12))
    images = torch.randn(2, 3, 9, 12)
    tokens, shape = embed(images)
    assert shape == embed.init_out_size == (3, 3)
    patch = torch.zeros(2, 3, 4, 4)
    patch[:, :, :1] = images[:, :, 8:9, 4:8]
    flat = patch.flatten(1) @ embed.projection.weight.flatten(1).T + embed.projection.bias
    torch.testing.assert_close(tokens[:, 7], F.layer_norm(flat, (5,)))


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (2, 1)])
def test_patch_merging(kernel: int, stride: int) -> None:
    merge = PatchMerging(3, 7, kernel_size=kernel, stride=stride, norm_cfg=None)
    x = torch.randn(2, 5 * 6, 3)
    out, (rows, columns) = merge(x, (5, 6))
    assert (rows, columns) == (math.ceil(5 / stride), math.ceil(6 / stride))
    whole = torch.zeros(2, 5 + kernel, 6 + kernel, 3)
    whole[:, :5, :6] = x.view(2, 5, 6, 3)
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            near = whole[:, top : top + kernel, left : left + kernel]
            want = near.permute(0, 3, 1, 2).flatten(1) @ merge.reduction.weight.T
            torch.testing.assert_close(out[:, row * columns + column], want)
    with pytest.raises(ValueError, match="30 tokens"):
        merge(x, (5, 5))


@torch.no_grad()
def test_self_attention() -> None:
    layer = SelfAttention(6, 2, layer_scale_init_value=0.5)
    x = torch.randn(2, 5, 6)
    query, key, value = (layer.qkv(x)[..., i * 6 : i * 6 + 6] for i in range(3))
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        weights = (query[..., head] @ key[..., head].mT / math.sqrt(3)).softmax(-1)
        heads.append(weights @ value[..., head])
    want = layer.proj(torch.cat(heads, -1)) * 0.5
    torch.testing.assert_close(layer(x), want)
    torch.testing.assert_close(layer(x, identity=x), x + want)


def test_self_attention_in_half_precision() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(32, 2)
    x = torch.randn(2, 9, 32, requires_grad=True)
    (exact,) = torch.autograd.grad(layer(x).square().sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), layer(x), rtol=0.05, atol=0.02)
    (gradient,) = torch.autograd.grad(half.float().square().sum(), x)
    assert (gradient - exact).norm() < 0.05 * exact.norm()


@torch.no_grad()
def test_multihead_attention_adds_positions_and_identity() -> None:
    layer = MODELS.build({"type": "MultiheadAttention", "embed_dims": 4, "num_heads": 2, "batch_first": True})
    assert isinstance(layer, MultiheadAttention)
    query, key, at, other = (torch.randn(2, count, 4) for count in (3, 5, 3, 5))
    want = query + layer.attn(query + at, key + other, key)[0]
    torch.testing.assert_close(layer(query, key, query_pos=at, key_pos=other), want)
    # Keys are the queries where none are given, and then share their positions.
    torch.testing.assert_close(layer(query, query_pos=at), query + layer.attn(query + at, query + at, query)[0])
    with pytest.raises(ValueError, match="3 heads"):
        MultiheadAttention(4, 3)


@torch.no_grad()
def test_cross_covariance_attention() -> None:
    layer = CrossCovarianceAttention(6, 2)
    layer.temperature.copy_(torch.tensor([0.5, 2.0])[:, None, None])
    x = torch.randn(2, 5, 6)
    query, key, value = (layer.qkv(x)[..., i * 6 : i * 6 + 6] for i in range(3))
    heads = []
    for index, head in enumerate((slice(0, 3), slice(3, 6))):
        left, right = (one[..., head] / one[..., head].norm(dim=1, keepdim=True) for one in (query, key))
        weights = (left.mT @ right * (0.5, 2.0)[index]).softmax(-1)
        heads.append((weights @ value[..., head].mT).mT)
    torch.testing.assert_close(layer(x), layer.proj(torch.cat(heads, -1)))


def attend_by_hand(
    layer: ShiftWindowMSA, x: torch.Tensor, rows: int, columns: int, size: int, shift: int
) -> torch.Tensor:
    """Each token looks at those of the same window of the shifted grid; what pads the map is zeros at its end."""
    inner = layer.w_msa
    full_rows, full_columns = math.ceil(rows / size) * size, math.ceil(columns / size) * size
    whole = torch.zeros(full_rows, full_columns, x.shape[-1])
    whole[:rows, :columns] = x.view(rows, columns, -1)
    heads, out = inner.num_heads, torch.zeros_like(whole)
    wide = 2 * layer.window_size - 1
    places = [(r, c) for r in range(full_rows) for c in range(full_columns)]
    qkv = {at: inner.qkv(whole[at]).view(3, heads, -1) for at in places}
    window = {(r, c): ((r - shift) // size, (c - shift) // size) for r, c in places}
    for at in places:
        near = [other for other in places if window[other] == window[at]]
        values = []
        for head in range(heads):
            scores = []
            for r, c in near:
                offset = (at[0] - r + layer.window_size - 1) * wide + at[1] - c + layer.window_size - 1
                product = qkv[at][0, head] @ qkv[r, c][1, head] / math.sqrt(qkv[at].shape[-1])
                scores.append(product + inner.relative_position_bias_table[offset, head])
            weights = torch.stack(scores).softmax(0)
            values.append(weights @ torch.stack([qkv[other][2, head] for other in near]))
        out[at] = inner.proj(torch.cat(values))
    return out[:rows, :columns].flatten(0, 1)


@torch.no_grad()
@pytest.mark.parametrize(
    ("size", "shift", "pad"),
    [((4, 4), 0, False), ((4, 6), 1, False), ((5, 3), 1, True), ((2, 4), 1, False), ((1, 4), 1, True)],
)
def test_window_attention(size: tuple[int, int], shift: int, pad: bool) -> None:
    torch.manual_seed(0)
    layer = ShiftWindowMSA(4, 2, 2, shift, pad_small_map=pad).eval()
    nn.init.normal_(layer.w_msa.relative_position_bias_table)
    x = torch.randn(1, size[0] * size[1], 4)
    # A map of one window is not shifted, unless it is padded like others.
    used = shift if pad or min(size) > 2 else 0
    want = attend_by_hand(layer, x[0], *size, 2, used)
    torch.testing.assert_close(layer(x, size)[0], want)


@torch.no_grad()
def test_windows_smaller_than_made_for() -> None:
    layer = ShiftWindowMSA(4, 2, 5, 2).eval()
    nn.init.normal_(layer.w_msa.relative_position_bias_table)
    x = torch.randn(1, 3 * 4, 4)
    torch.testing.assert_close(layer(x, (3, 4))[0], attend_by_hand(layer, x[0], 3, 4, 3, 0))
    with pytest.raises(ValueError, match="shift_size"):
        ShiftWindowMSA(4, 2, 2, 2)


def test_window_index_is_that_of_published_weights() -> None:
    index = WindowMSA(4, (2, 3), 2).relative_position_index
    assert index.shape == (6, 6)
    assert index[0, 0] == 1 * 5 + 2
    assert index[5, 0] == 2 * 5 + 4
    assert index[0, 5] == 0


@torch.no_grad()
def test_ffn() -> None:
    ffn = MODELS.build({"type": "FFN", "embed_dims": 4, "feedforward_channels": 6, "num_fcs": 3})
    assert isinstance(ffn, FFN)
    x, identity = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    first, second, third = ffn.layers[0][0], ffn.layers[1][0], ffn.layers[2]
    want = third(second(first(x).relu()).relu())
    torch.testing.assert_close(ffn(x), x + want)
    torch.testing.assert_close(ffn(x, identity), identity + want)
    alone = FFN(4, 6, add_identity=False, layer_scale_init_value=2.0)
    torch.testing.assert_close(alone(x), 2 * alone.layers[1](alone.layers[0][0](x).relu()))
    assert "gamma2.weight" in alone.state_dict()
    with pytest.raises(ValueError, match="num_fcs"):
        FFN(4, 6, num_fcs=1)


@torch.no_grad()
def test_gated_ffn() -> None:
    ffn = SwiGLUFFN(4, 30, add_identity=False)
    assert ffn.w3.in_features == 24
    x = torch.randn(3, 4)
    wide = ffn.w12(x)
    gate, value = wide[:, :24], wide[:, 24:]
    torch.testing.assert_close(ffn(x), ffn.w3(gate * gate.sigmoid() * value))


def test_encoder_layer_names() -> None:
    names = {name.rsplit(".", 1)[0] for name in TransformerEncoderLayer(4, 2, 8, key_style="dense").state_dict()}
    assert names == {"ln1", "attn.attn", "attn.attn.out_proj", "ln2", "ffn.layers.0.0", "ffn.layers.1"}
    with pytest.raises(ValueError, match="ffn_type"):
        TransformerEncoderLayer(4, 2, 8, ffn_type="swiglu")


def test_sine_encoding() -> None:
    mask = torch.zeros(1, 3, 4)
    mask[..., 3] = 1  # the last column is no image
    out = SinePositionalEncoding(4, normalize=True, temperature=100)(mask)
    assert out.shape == (1, 8, 3, 4)
    for row in range(3):
        for column in range(3):
            y, x = (row + 1) / 3 * 2 * math.pi, (column + 1) / 3 * 2 * math.pi
            want = [f(p / d) for p in (y, x) for d in (1, 10) for f in (math.sin, math.cos)]
            torch.testing.assert_close(out[0, :, row, column], torch.tensor(want), atol=1e-4, rtol=1e-4)
    plain = SinePositionalEncoding(4)
    torch.testing.assert_close(plain(None, torch.zeros(2, 5, 3, 4)), plain(torch.zeros(2, 3, 4)))
    with pytest.raises(ValueError, match="mask"):
        plain(None)


def test_learned_encoding() -> None:
    layer = LearnedPositionalEncoding(2, 3, 4)
    out = layer(torch.zeros(2, 3, 2))
    assert out.shape == (2, 4, 3, 2)
    assert torch.equal(out[1, :, 2, 1], torch.cat([layer.col_embed.weight[1], layer.row_embed.weight[2]]))
    with pytest.raises(ValueError, match="4"):
        layer(torch.zeros(1, 4, 4))


def test_resize_pos_embed() -> None:
    embed = torch.randn(1, 2 + 6, 3)
    assert resize_pos_embed(embed, (2, 3), (2, 3), num_extra_tokens=2) is embed
    out = resize_pos_embed(embed, (2, 3), (4, 6), mode="nearest", num_extra_tokens=2)
    assert torch.equal(out[:, :2], embed[:, :2])
    want = embed[0, 2:].view(2, 3, 3).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(out[0, 2:].view(4, 6, 3), want)
    with pytest.raises(ValueError, match="6"):
        resize_pos_embed(embed, (3, 3), (4, 4), num_extra_tokens=2)


def test_scales() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(Scale(2)(x), 2 * x)
    layer = LayerScale(3, 2.0, data_format="channels_first")
    torch.testing.assert_close(layer(x), 2 * x)
    inplace = LayerScale(4, 0.5, inplace=True).requires_grad_(False)
    y = x.clone()
    assert inplace(y) is y
    torch.testing.assert_close(y, x / 2)
    with pytest.raises(ValueError, match="data_format"):
        LayerScale(3, data_format="NHWC")


def test_quick_gelu_is_near_gelu() -> None:
    x = torch.linspace(-4, 4, 33)
    layer = MODELS.build({"type": "QuickGELU"})
    torch.testing.assert_close(layer(x), F.gelu(x), atol=0.03, rtol=0)
    torch.testing.assert_close(layer(torch.tensor(1.0)), torch.tensor(1 / (1 + math.exp(-1.702))))
