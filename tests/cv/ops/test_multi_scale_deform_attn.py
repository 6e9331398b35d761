from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.cv.ops.checks import bilinear, random_tensor
from visuite.cv import ops
from visuite.engine.registry import MODELS

SHAPES = [(4, 5), (2, 3)]
PIXELS = 26


def plain_attention(value, shapes, locations, weights):
    batch, _, heads, dims = value.shape
    out = torch.zeros(batch, locations.shape[1], heads, dims, dtype=value.dtype)
    for b in range(batch):
        for q in range(locations.shape[1]):
            for m in range(heads):
                start = 0
                for level, (height, width) in enumerate(shapes):
                    image = value[b, start : start + height * width, m].reshape(height, width, dims)
                    start += height * width
                    for p in range(locations.shape[4]):
                        x, y = locations[b, q, m, level, p].tolist()
                        for d in range(dims):
                            read = bilinear(image[..., d], y * height - 0.5, x * width - 0.5)
                            out[b, q, m, d] += weights[b, q, m, level, p] * read
    return out.flatten(2)


def case(dtype=torch.float64, queries=3):
    value = random_tensor(2, PIXELS, 2, 4, dtype=dtype)
    gen = torch.Generator().manual_seed(1)
    locations = (torch.rand(2, queries, 2, 2, 3, 2, generator=gen, dtype=torch.float64) * 1.2 - 0.1).to(dtype)
    weights = random_tensor(2, queries, 2, 6, seed=2, dtype=dtype).softmax(-1).reshape(2, queries, 2, 2, 3)
    return value, locations, weights


@pytest.mark.parametrize("shapes", [SHAPES, torch.tensor(SHAPES)])
def test_against_a_loop(shapes):
    value, locations, weights = case()
    found = ops.multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    torch.testing.assert_close(found, plain_attention(value, SHAPES, locations, weights))


def test_gradients():
    inputs = tuple(t.requires_grad_() for t in case(queries=1))
    assert torch.autograd.gradcheck(lambda v, at, w: ops.multi_scale_deformable_attn_pytorch(v, SHAPES, at, w), inputs)


def test_no_queries_and_no_samples():
    value, locations, weights = case(queries=0)
    assert ops.multi_scale_deformable_attn_pytorch(value, SHAPES, locations, weights).shape == (2, 0, 8)
    value, locations, weights = (t[:0] for t in case())
    assert ops.multi_scale_deformable_attn_pytorch(value, SHAPES, locations, weights).shape == (0, 3, 8)


def test_half_precision_keeps_the_locations():
    value, locations, weights = case(torch.float32)
    told = ops.multi_scale_deformable_attn_pytorch(value.bfloat16().float(), SHAPES, locations, weights)
    found = ops.multi_scale_deformable_attn_pytorch(value.bfloat16(), SHAPES, locations, weights)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, told.bfloat16())


def layer(**kwargs):
    settings = dict(embed_dims=16, num_heads=4, num_levels=2, num_points=3, dropout=0.0, batch_first=True)
    return MODELS.build(dict(type="MultiScaleDeformableAttention", **settings | kwargs))


def test_state_dict_and_start():
    module = layer()
    assert set(module.state_dict()) == {
        f"{name}.{part}"
        for name in ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
        for part in ("weight", "bias")
    }
    for name in ("sampling_offsets.weight", "attention_weights.weight", "attention_weights.bias", "value_proj.bias"):
        assert not module.get_parameter(name).any()
    offsets = module.sampling_offsets.bias.reshape(4, 2, 3, 2)
    ways = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    torch.testing.assert_close(offsets, (ways[:, None] * torch.arange(1, 4)[:, None])[:, None].expand(4, 2, 3, 2))
    bound = math.sqrt(6 / 32)
    assert 0.8 * bound < module.value_proj.weight.abs().max() <= bound


def test_eight_heads_look_at_the_edge_of_a_square():
    offsets = layer(embed_dims=32, num_heads=8).sampling_offsets.bias.reshape(8, 2, 3, 2)
    torch.testing.assert_close(offsets.abs().amax(-1), torch.arange(1.0, 4).expand(8, 2, 3))
    torch.testing.assert_close(offsets[1, 0, 0], torch.ones(2))


def test_a_model_may_initialise_it_again():
    module = layer()
    nn.init.ones_(module.attention_weights.weight)
    module.init_weights()
    assert not module.attention_weights.weight.any()
    assert module.is_init


@pytest.mark.parametrize("box", [False, True])
def test_forward_is_what_the_paper_says(box):
    module = layer().double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    query, value, pos = (random_tensor(2, n, 16, seed=n, dtype=torch.float64) for n in (3, PIXELS, 3))
    reference = torch.rand(2, 3, 2, 4 if box else 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    padding = torch.arange(PIXELS).expand(2, -1) % 5 == 0
    found = module(
        query,
        value=value,
        query_pos=pos,
        key_padding_mask=padding,
        reference_points=reference,
        spatial_shapes=torch.tensor(SHAPES),
        level_start_index=torch.tensor([0, 20]),
    )
    asked = query + pos
    offsets = module.sampling_offsets(asked).reshape(2, 3, 4, 2, 3, 2)
    weights = module.attention_weights(asked).reshape(2, 3, 4, 6).softmax(-1).reshape(2, 3, 4, 2, 3)
    locations = torch.zeros_like(offsets)
    for level, (height, width) in enumerate(SHAPES):
        size = reference[:, :, level, 2:] / 2 / 3 if box else 1 / torch.tensor([width, height]).expand(2, 3, 2)
        moved = offsets[:, :, :, level] * size[:, :, None, None]
        locations[:, :, :, level] = reference[:, :, level, None, None, :2] + moved
    projected = module.value_proj(value) * ~padding[..., None]
    read = plain_attention(projected.reshape(2, PIXELS, 4, 4), SHAPES, locations, weights)
    torch.testing.assert_close(found, query + module.output_proj(read))


def test_batch_second_and_identity():
    first, second = layer(), layer(batch_first=False)
    second.load_state_dict(first.state_dict())
    query, identity = random_tensor(2, PIXELS, 16), random_tensor(2, PIXELS, 16, seed=1)
    reference = torch.rand(2, PIXELS, 2, 2, generator=torch.Generator().manual_seed(0))
    named = dict(reference_points=reference, spatial_shapes=SHAPES)
    told = first(query, identity=identity, **named)
    found = second(query.transpose(0, 1), identity=identity.transpose(0, 1), **named)
    torch.testing.assert_close(found.transpose(0, 1), told)
    torch.testing.assert_close(told - identity, first(query, **named) - query)


def test_fewer_value_channels():
    module = layer(value_proj_ratio=0.5)
    assert module.value_proj.weight.shape == (8, 16)
    out = module(torch.zeros(1, PIXELS, 16), reference_points=torch.zeros(1, PIXELS, 2, 2), spatial_shapes=SHAPES)
    assert out.shape == (1, PIXELS, 16)


def test_under_autocast():
    module, query = layer(), random_tensor(2, PIXELS, 16)
    named = dict(reference_points=torch.rand(2, PIXELS, 2, 2), spatial_shapes=SHAPES)
    told = module(query, **named)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(module(query, **named).float(), told, rtol=0.05, atol=0.05)


def test_bad_input():
    with pytest.raises(ValueError, match="16 channels cannot be split into num_heads=3"):
        layer(num_heads=3)
    with pytest.raises(TypeError, match="reference_points and spatial_shapes"):
        layer()(torch.zeros(1, PIXELS, 16))
    with pytest.raises(ValueError, match="2 or 4 numbers each, not 3"):
        layer()(torch.zeros(1, PIXELS, 16), reference_points=torch.zeros(1, PIXELS, 2, 3), spatial_shapes=SHAPES)
    with pytest.raises(ValueError, match="20 pixels together, the values 26"):
        layer()(torch.zeros(1, PIXELS, 16), reference_points=torch.zeros(1, 26, 1, 2), spatial_shapes=SHAPES[:1])
