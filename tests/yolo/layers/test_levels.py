"""Layers between the levels of a pyramid, and small layers beside the features."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cv.layers.live import live
from visuite.yolo.layers import BiFusion, EffectiveSELayer, ImplicitA, ImplicitM, MaxPoolAndStrideConvBlock


@pytest.mark.parametrize(("rows", "columns"), [(6, 8), (5, 7)])
def test_three_levels_become_one(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    layer = live(BiFusion(6, 4, out_channels=8))
    coarse = torch.randn(2, 8, -(-rows // 2), -(-columns // 2))
    level, fine = torch.randn(2, 6, rows, columns), torch.randn(2, 4, 2 * rows, 2 * columns - 1)
    # A transposed convolution of 2x2 with stride 2 makes a square of each pixel.
    weight, bias = layer.upsample.weight, layer.upsample.bias
    enlarged = torch.einsum("bchw,ckij->bkhiwj", coarse, weight).flatten(2, 3).flatten(3, 4) + bias.view(1, -1, 1, 1)
    shrunk = layer.downsample(layer.conv2(fine))
    assert shrunk.shape == (2, 8, rows, columns)
    maps = (enlarged[..., :rows, :columns], layer.conv1(level), shrunk)
    torch.testing.assert_close(layer(coarse, level, fine), layer.conv3(torch.cat(maps, 1)))


@pytest.mark.parametrize(("wide", "middle"), [(False, 5), (True, 6)])
def test_half_of_the_channels_are_maxima(wide: bool, middle: int) -> None:
    torch.manual_seed(0)
    layer = live(MaxPoolAndStrideConvBlock(6, 10, use_in_channels_of_middle=wide))
    x = torch.randn(2, 6, 8, 6)
    first, second = layer.stride_conv_branches
    maxima = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    expected = torch.cat((second(first(x)), layer.maxpool_branches[1](maxima)), 1)
    torch.testing.assert_close(layer(x), expected)
    assert first.conv.out_channels == middle
    assert layer(x[..., :7, :5]).shape == (2, 10, 4, 3)


def test_a_channel_is_weighed_by_the_means_of_all() -> None:
    torch.manual_seed(0)
    layer = EffectiveSELayer(5)
    nn.init.normal_(layer.fc.conv.bias)
    x = torch.randn(2, 5, 4, 3)
    numbers = x.mean((2, 3)) @ layer.fc.conv.weight.flatten(1).T + layer.fc.conv.bias
    weights = ((numbers + 3) / 6).clamp(0, 1)
    torch.testing.assert_close(layer(x), x * weights[:, :, None, None])
    sigmoid = EffectiveSELayer(5, act_cfg={"type": "Sigmoid"})
    sigmoid.load_state_dict(layer.state_dict())
    torch.testing.assert_close(sigmoid(x), x * numbers.sigmoid()[:, :, None, None])


def test_implicit_numbers_stand_beside_the_channels() -> None:
    torch.manual_seed(0)
    added, factor = ImplicitA(2000), ImplicitM(2000)
    x = torch.randn(2, 2000, 2, 1)
    torch.testing.assert_close(added(x), x + added.implicit.expand_as(x))
    torch.testing.assert_close(factor(x), x * factor.implicit.expand_as(x))
    for layer, mean in ((added, 0.0), (factor, 1.0)):
        assert layer.implicit.shape == (1, 2000, 1, 1)
        numbers = layer.implicit.detach()
        assert abs(float(numbers.mean()) - mean) < 0.003
        assert abs(float(numbers.std()) - 0.02) < 0.002
