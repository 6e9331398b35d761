"""Blocks that are plugged into others, against loops over positions."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones import ResNet
from visuite.cv.layers import (
    ContextBlock,
    GeneralizedAttention,
    NonLocal1d,
    NonLocal2d,
    NonLocal3d,
    build_plugin_layer,
)


def _draw(block: nn.Module) -> nn.Module:
    """Draw all parameters, since blocks begin as identities."""
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.4)
    return block


def _at(x: torch.Tensor) -> list[torch.Tensor]:
    """Return the vectors (C,) of all positions of (C, ...)."""
    return list(x.flatten(1).T)


# ---------------------------------------------------------------------- non-local blocks


@pytest.mark.parametrize("mode", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize("sub_sample", [False, True])
def test_non_local_block_is_a_weighed_mean(mode: str, sub_sample: bool) -> None:
    torch.manual_seed(0)
    block, x = _draw(NonLocal2d(4, mode=mode, sub_sample=sub_sample)), torch.randn(2, 4, 4, 6)
    own = looks = x
    if mode != "gaussian":
        own, looks = block.theta(x), (block.phi[0] if sub_sample else block.phi)(x)
    seen = (block.g[0] if sub_sample else block.g)(x)
    if sub_sample:
        seen, looks = F.max_pool2d(seen, 2), F.max_pool2d(looks, 2)
    got = block(x)
    for image in range(2):
        means = []
        for one in _at(own[image]):
            if mode == "concatenation":
                weight = block.concat_project.conv.weight.flatten()
                scores = torch.stack([(weight @ torch.cat((one, other))).relu() for other in _at(looks[image])])
            else:
                scores = torch.stack([one @ other for other in _at(looks[image])])
            if mode in ("gaussian", "embedded_gaussian"):
                shares = (scores / (math.sqrt(2) if mode == "embedded_gaussian" else 1)).softmax(0)
            else:
                shares = scores / len(scores)
            means.append(sum(share * value for share, value in zip(shares, _at(seen[image]), strict=True)))
        found = block.conv_out(torch.stack(means, 1).view(1, 2, 4, 6))[0]
        torch.testing.assert_close(got[image], x[image] + found, rtol=1e-4, atol=1e-5)


def test_non_local_block_begins_as_the_identity() -> None:
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(NonLocal2d(8)(x), x)
    assert torch.equal(NonLocal2d(8, norm_cfg={"type": "BN"}).eval()(x), x)
    assert not torch.equal(NonLocal2d(8, zeros_init=False)(x), x)


@pytest.mark.parametrize(("kind", "dims"), [(NonLocal1d, 1), (NonLocal2d, 2), (NonLocal3d, 3)])
def test_non_local_blocks_of_other_dimensions(kind: Any, dims: int) -> None:
    """Positions are positions, however they are laid out."""
    torch.manual_seed(0)
    block, x = _draw(kind(4)), torch.randn(2, 4, *(2, 3, 4)[:dims])
    flat = NonLocal1d(4)
    flat.load_state_dict({k: v.flatten(2)[..., :1] if v.ndim > 1 else v for k, v in block.state_dict().items()})
    torch.testing.assert_close(block(x).flatten(2), flat(x.flatten(2)))
    assert kind(4, sub_sample=True, mode="gaussian")(torch.randn(1, 4, *(4, 4, 4)[:dims])).shape[1] == 4


def test_names_in_non_local_blocks() -> None:
    def names(**arguments: Any) -> set[str]:
        return {name.rpartition(".")[0] for name in NonLocal2d(4, **arguments).state_dict()}

    assert names() == {"g.conv", "theta.conv", "phi.conv", "conv_out.conv"}
    assert names(sub_sample=True) == {"g.0.conv", "theta.conv", "phi.0.conv", "conv_out.conv"}
    assert names(mode="gaussian", norm_cfg={"type": "BN"}) == {"g.conv", "conv_out.conv", "conv_out.bn"}
    assert "concat_project.conv" in names(mode="concatenation")
    with pytest.raises(ValueError, match="embedded_gaussian"):
        NonLocal2d(4, mode="gauss")


# ---------------------------------------------------------------------- global context


@pytest.mark.parametrize("pooling", ["att", "avg"])
@pytest.mark.parametrize("fusion", [("channel_add",), ("channel_mul",), ("channel_add", "channel_mul")])
def test_context_block_is_one_vector_for_all_positions(pooling: str, fusion: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    block, x = _draw(ContextBlock(8, 0.5, pooling_type=pooling, fusion_types=fusion)), torch.randn(2, 8, 3, 4)

    def transform(layers: nn.Sequential, context: torch.Tensor) -> torch.Tensor:
        inside = layers[0].weight[:, :, 0, 0] @ context + layers[0].bias
        normed = (inside - inside.mean()) / (inside.var(unbiased=False) + 1e-5).sqrt()
        inside = (normed * layers[1].weight.flatten() + layers[1].bias.flatten()).relu()
        return layers[3].weight[:, :, 0, 0] @ inside + layers[3].bias

    for image in range(2):
        vectors = _at(x[image])
        scores = torch.zeros(len(vectors))
        if pooling == "att":
            scores = torch.stack([block.conv_mask.weight.flatten() @ one + block.conv_mask.bias[0] for one in vectors])
        context = sum(share * one for share, one in zip(scores.softmax(0), vectors, strict=True))
        want = x[image]
        if "channel_mul" in fusion:
            want = want * transform(block.channel_mul_conv, context).sigmoid()[:, None, None]
        if "channel_add" in fusion:
            want = want + transform(block.channel_add_conv, context)[:, None, None]
        torch.testing.assert_close(block(x)[image], want, rtol=1e-4, atol=1e-5)


def test_context_block_begins_and_is_named_as_told() -> None:
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(ContextBlock(8, 1 / 4)(x), x)
    torch.testing.assert_close(ContextBlock(8, 1 / 4, fusion_types=("channel_mul",))(x), x / 2)
    names = {name.rpartition(".")[0] for name in ContextBlock(8, 1 / 4).state_dict()}
    assert names == {"conv_mask", "channel_add_conv.0", "channel_add_conv.1", "channel_add_conv.3"}
    with pytest.raises(ValueError, match="pooling_type"):
        ContextBlock(8, 0.5, pooling_type="max")
    with pytest.raises(ValueError, match="channel_add"):
        ContextBlock(8, 0.5, fusion_types=("add",))


# ---------------------------------------------------------------------- generalised attention

TYPES = ["".join(one) for one in product("01", repeat=4)][1:]


def _described(block: Any, distance: float) -> torch.Tensor:
    waves = [distance / 1000 ** (4 * wave / block.position_embedding_dim) for wave in range(2)]
    return torch.tensor([math.sin(one) for one in waves] + [math.cos(one) for one in waves])


def _found_by_loops(block: Any, x: torch.Tensor, kv_stride: int, attention_type: str) -> torch.Tensor:
    """Return what the equations of the paper give for an image (C, H, W), before the last convolution."""
    content, distance, key_alone, distance_alone = (one == "1" for one in attention_type)
    (channels, rows, columns), heads = x.shape, block.num_heads
    d = channels // heads
    out = torch.zeros_like(x)
    asked = [(j, i) for j in range(0, rows, kv_stride) for i in range(0, columns, kv_stride)]
    for head, row, column in product(range(heads), range(rows), range(columns)):
        part = slice(head * d, head * d + d)

        def project(conv: Any, y: int, z: int, part: slice = part) -> torch.Tensor:
            return conv.weight[part, :, 0, 0] @ x[:, y, z]

        energies = []
        for j, i in asked:
            energy = torch.zeros(())
            if distance or distance_alone:
                down = block.appr_geom_fc_y.weight[part] @ _described(block, row - j)
                right = block.appr_geom_fc_x.weight[part] @ _described(block, column - i)
                relative = (down + right) / math.sqrt(2)
            if content:
                energy = energy + project(block.query_conv, row, column) @ project(block.key_conv, j, i)
            if distance:
                energy = energy + project(block.query_conv, row, column) @ relative
            if key_alone:
                energy = energy + block.appr_bias[part] @ project(block.key_conv, j, i)
            if distance_alone:
                energy = energy + block.geom_bias[part] @ relative
            energies.append(energy)
        shares = torch.stack(energies).softmax(0)
        values = [project(block.value_conv, j, i) for j, i in asked]
        out[part, row, column] = sum(share * value for share, value in zip(shares, values, strict=True))
    return out


@pytest.mark.parametrize("attention_type", TYPES)
def test_generalised_attention_is_the_sum_of_its_terms(attention_type: str) -> None:
    torch.manual_seed(0)
    block = _draw(GeneralizedAttention(8, num_heads=2, kv_stride=2, attention_type=attention_type))
    x = torch.randn(2, 8, 3, 4)
    with torch.no_grad():
        found = _found_by_loops(block, x[1], 2, attention_type)
        want = x[1] + block.gamma * block.proj_conv(found[None])[0]
        torch.testing.assert_close(block(x)[1], want, rtol=1e-4, atol=1e-5)


def test_generalised_attention_within_a_range() -> None:
    """What is out of range makes no difference, and what is in range does."""
    torch.manual_seed(0)
    block = _draw(GeneralizedAttention(8, spatial_range=2, num_heads=2, kv_stride=1))
    x = torch.randn(1, 8, 7, 7)
    far, near = x.clone(), x.clone()
    far[:, :, 3:, 3:] += 1
    near[:, :, 2, 2] += 1
    before = block(x)[0, :, 0, 0]
    torch.testing.assert_close(block(far)[0, :, 0, 0], before)
    assert (block(near)[0, :, 0, 0] - before).abs().max() > 1e-4
    for stride in (2, 4):  # whatever the stride, each pixel has something to ask
        sparse = _draw(GeneralizedAttention(8, spatial_range=0, num_heads=2, kv_stride=stride))
        assert sparse(x).isfinite().all()


def test_generalised_attention_of_few_askers() -> None:
    torch.manual_seed(0)
    block = _draw(GeneralizedAttention(8, num_heads=2, kv_stride=1, q_stride=2))
    x = torch.randn(1, 8, 6, 8)
    dense = GeneralizedAttention(8, num_heads=2, kv_stride=1)
    dense.load_state_dict(block.state_dict())
    few = ((dense(x) - x) / block.gamma)[..., ::2, ::2]
    want = x + block.gamma * F.interpolate(few, size=(6, 8), mode="bilinear")
    torch.testing.assert_close(block(x), want, rtol=1e-4, atol=1e-5)


def test_generalised_attention_has_only_what_it_needs() -> None:
    def names(attention_type: str) -> set[str]:
        block = GeneralizedAttention(8, num_heads=2, attention_type=attention_type)
        return {name.removesuffix(".weight").removesuffix(".bias") for name in block.state_dict()}

    always = {"value_conv", "proj_conv", "gamma"}
    distances = {"appr_geom_fc_x", "appr_geom_fc_y"}
    assert names("1000") == always | {"query_conv", "key_conv"}
    assert names("0100") == always | {"query_conv"} | distances
    assert names("0010") == always | {"key_conv", "appr_bias"}
    assert names("0001") == always | {"geom_bias"} | distances
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(GeneralizedAttention(8, num_heads=2)(x), x)
    for wrong in ("0000", "111", "1121"):
        with pytest.raises(ValueError, match="four times 0 or 1"):
            GeneralizedAttention(8, attention_type=wrong)


# ---------------------------------------------------------------------- in a backbone


@pytest.mark.parametrize(
    ("cfg", "name"),
    [
        ({"type": "ContextBlock", "ratio": 1 / 4}, "context_block"),
        ({"type": "GeneralizedAttention", "num_heads": 4, "attention_type": "0010"}, "gen_attention_block"),
        ({"type": "NonLocal2d"}, "nonlocal_block"),
    ],
)
def test_plugins_of_a_backbone(cfg: dict[str, Any], name: str) -> None:
    assert build_plugin_layer(cfg, "1", in_channels=8)[0] == f"{name}1"
    plugins = [{"cfg": cfg, "stages": (False, True, True, True), "position": "after_conv3"}]
    torch.manual_seed(0)
    net = ResNet(50, base_channels=8, plugins=plugins)
    blocks = {key.rpartition(f".{name}.")[0] for key in net.state_dict() if f".{name}." in key}
    assert blocks == {f"layer{s}.{b}" for s, count in ((2, 4), (3, 6), (4, 3)) for b in range(count)}
    net.init_weights()
    plain = ResNet(50, base_channels=8)
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if name not in k})
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():  # blocks begin as identities, after the backbone's own initialisation too
        for got, want in zip(net.eval()(x), plain.eval()(x), strict=True):
            torch.testing.assert_close(got, want)
