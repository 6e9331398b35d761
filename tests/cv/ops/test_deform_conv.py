"""Both deformable convolutions: the modulated one is the general case."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.cv.ops.checks import bilinear, random_tensor
from visuite.cv import ops
from visuite.engine.model import BaseModule
from visuite.engine.registry import MODELS

PACKS = ["DCN", "DCNv2"]


def plain_deform_conv(x, offset, mask, weight, bias, stride, padding, dilation, groups, deform_groups):
    batch, channels = x.shape[:2]
    out_channels, _, kh, kw = weight.shape
    height, width = offset.shape[2:]
    out = torch.zeros(batch, out_channels, height, width, dtype=x.dtype)
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                patch = torch.zeros(channels, kh, kw, dtype=x.dtype)
                for c in range(channels):
                    group = c // (channels // deform_groups)
                    for p in range(kh):
                        for q in range(kw):
                            point = (group * kh + p) * kw + q
                            down, right = offset[b, 2 * point : 2 * point + 2, i, j].tolist()
                            y = i * stride - padding + p * dilation + down
                            x_ = j * stride - padding + q * dilation + right
                            patch[c, p, q] = bilinear(x[b, c], y, x_) * (1 if mask is None else mask[b, point, i, j])
                parts = zip(patch.chunk(groups), weight.chunk(groups), strict=True)
                out[b, :, i, j] = torch.cat([(w * part).sum(dim=(1, 2, 3)) for part, w in parts])
    return out if bias is None else out + bias[:, None, None]


def case(groups=1, deform_groups=1, dtype=torch.float64, size=5, batch=2):
    x = random_tensor(batch, 4, size, size + 1, dtype=dtype)
    height, width = (size + 2 - 3) // 2 + 1, (size + 1 + 2 - 3) // 2 + 1
    offset = random_tensor(batch, deform_groups * 18, height, width, seed=1, dtype=dtype)
    mask = torch.sigmoid(random_tensor(batch, deform_groups * 9, height, width, seed=2, dtype=dtype))
    weight, bias = random_tensor(4, 4 // groups, 3, 3, seed=3, dtype=dtype), random_tensor(4, seed=4, dtype=dtype)
    return x, offset, mask, weight, bias


@pytest.mark.parametrize(("groups", "deform_groups"), [(1, 1), (2, 1), (1, 2), (4, 2)])
def test_against_a_loop(groups, deform_groups):
    x, offset, mask, weight, bias = case(groups, deform_groups)
    settings = (2, 1, 1, groups, deform_groups)
    found = ops.deform_conv2d(x, offset, weight, *settings)
    torch.testing.assert_close(found, plain_deform_conv(x, offset, None, weight, None, *settings))
    found = ops.modulated_deform_conv2d(x, offset, mask, weight, bias, *settings)
    torch.testing.assert_close(found, plain_deform_conv(x, offset, mask, weight, bias, *settings))


def test_at_rest_it_is_a_convolution():
    x = random_tensor(2, 4, 7, 8)
    plain, modulated = (MODELS.get(name)(4, 6, 3, padding=2, dilation=2, groups=2) for name in PACKS)
    torch.testing.assert_close(plain(x), F.conv2d(x, plain.weight, padding=2, dilation=2, groups=2))
    told = F.conv2d(x, modulated.weight, modulated.bias, padding=2, dilation=2, groups=2) / 2  # masks are a half
    torch.testing.assert_close(modulated(x), told)


def test_layers_with_offsets_from_outside_equal_the_functions():
    x, offset, mask, *_ = case(2, 2, torch.float32)
    plain = ops.DeformConv2d(4, 4, 3, 2, 1, groups=2, deform_groups=2)
    assert torch.equal(plain(x, offset), ops.deform_conv2d(x, offset, plain.weight, 2, 1, 1, 2, 2))
    layer = ops.ModulatedDeformConv2d(4, 4, 3, 2, 1, groups=2, deform_groups=2)
    told = ops.modulated_deform_conv2d(x, offset, mask, layer.weight, layer.bias, 2, 1, 1, 2, 2)
    assert torch.equal(layer(x, offset, mask), told)


def test_packs_split_their_offsets_and_masks():
    x = random_tensor(1, 4, 5, 5)
    pack = ops.ModulatedDeformConv2dPack(4, 6, 3, padding=1, deform_groups=2)
    nn.init.normal_(pack.conv_offset.weight, std=0.2)
    first, second, mask = pack.conv_offset(x).chunk(3, dim=1)
    told = ops.modulated_deform_conv2d(
        x, torch.cat((first, second), 1), mask.sigmoid(), pack.weight, pack.bias, 1, 1, 1, 1, 2
    )
    torch.testing.assert_close(pack(x), told)


@pytest.mark.parametrize("function", ["deform_conv2d", "modulated_deform_conv2d"])
def test_gradients(function):
    x, offset, mask, weight, bias = (t.requires_grad_() for t in case(2, 2, size=3, batch=1))
    inputs = (x, offset, weight) if function == "deform_conv2d" else (x, offset, mask, weight, bias)
    assert torch.autograd.gradcheck(lambda *a: getattr(ops, function)(*a, 2, 1, 1, 2, 2), inputs)


@pytest.mark.parametrize("name", PACKS)
def test_state_dict_and_start(name):
    pack = MODELS.get(name)(8, 16, 3, padding=1, deform_groups=2)
    keys = {"weight", "conv_offset.weight", "conv_offset.bias"} | ({"bias"} if name == "DCNv2" else set())
    assert set(pack.state_dict()) == keys
    assert pack.weight.shape == (16, 8, 3, 3)
    assert pack.conv_offset.weight.shape == (2 * 9 * (3 if name == "DCNv2" else 2), 8, 3, 3)
    assert not pack.conv_offset.weight.any()
    assert not pack.conv_offset.bias.any()
    bound = (6 / 72) ** 0.5 if name == "DCN" else (1 / 72) ** 0.5
    assert 0.95 * bound < pack.weight.abs().max() <= bound


@pytest.mark.parametrize("name", PACKS)
def test_a_model_that_draws_all_convolutions_leaves_the_points_at_rest(name):
    class Stage(BaseModule):
        def __init__(self):
            super().__init__(init_cfg=dict(type="Kaiming", layer="Conv2d"))
            self.conv2 = MODELS.get(name)(8, 8, 3, padding=1)

    stage = Stage()
    stage.init_weights()
    assert not stage.conv2.conv_offset.weight.any()


@pytest.mark.parametrize("name", PACKS)
def test_no_images(name):
    assert MODELS.get(name)(4, 6, 3, padding=1)(torch.zeros(0, 4, 5, 5)).shape == (0, 6, 5, 5)


@pytest.mark.parametrize("name", PACKS)
def test_half_precision(name):
    pack, x = MODELS.get(name)(4, 6, 3, padding=1), random_tensor(2, 4, 6, 6)
    nn.init.normal_(pack.conv_offset.weight, std=0.05)
    told = pack(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(pack(x).float(), told, rtol=0.05, atol=0.05)
    half = pack.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), told, rtol=0.05, atol=0.05)


def test_bad_input():
    x, offset, _, weight, _ = case()
    with pytest.raises(ValueError, match="has no bias"):
        MODELS.get("DCN")(4, 4, 3, bias=True)
    with pytest.raises(ValueError, match="has no bias"):
        ops.deform_conv2d(x, offset, weight, 2, 1, bias=True)
    with pytest.raises(ValueError, match="deform_groups=2 needs 36 offsets and 18 masks, not 18 offsets"):
        ops.deform_conv2d(x, offset, weight, 2, 1, deform_groups=2)
    with pytest.raises(ValueError, match="takes 8 channels, the input has 4"):
        ops.deform_conv2d(x, offset, weight, 2, 1, groups=2)
    with pytest.raises(ValueError, match="4 channels cannot be split into groups=3"):
        ops.DeformConv2d(4, 6, 3, groups=3)
    with pytest.raises(ValueError, match="into deform_groups=3"):
        ops.DeformConv2d(4, 6, 3, deform_groups=3)
