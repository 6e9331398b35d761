"""The layers of the YOLO family, and separable convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import (
    ChannelAttention,
    ConvModule,
    CSPLayer,
    CSPNeXtBlock,
    DarknetBottleneck,
    DepthwiseSeparableConvModule,
    Focus,
    SPPBottleneck,
)


def test_separable_convolution_is_a_full_one_of_products() -> None:
    torch.manual_seed(0)
    layer = DepthwiseSeparableConvModule(4, 6, 3, stride=2, padding=1, act_cfg=None, bias=False)
    depth, point = layer.depthwise_conv.conv.weight, layer.pointwise_conv.conv.weight
    kernel = point * depth.transpose(0, 1)  # (6, 4, 1, 1) times (1, 4, 3, 3)
    x = torch.randn(2, 4, 9, 8)
    torch.testing.assert_close(layer(x), F.conv2d(x, kernel, stride=2, padding=1))


def test_norms_and_activations_of_either_convolution() -> None:
    bn = {"type": "BN"}
    both = DepthwiseSeparableConvModule(4, 6, 3, norm_cfg=bn)
    assert both.depthwise_conv.norm.num_features == 4
    assert both.pointwise_conv.norm.num_features == 6
    first = DepthwiseSeparableConvModule(4, 6, 3, norm_cfg=bn, pw_norm_cfg=None, dw_act_cfg=None)
    assert first.pointwise_conv.norm is None
    assert not first.depthwise_conv.with_activation
    assert first.pointwise_conv.with_activation
    second = DepthwiseSeparableConvModule(4, 6, 3, act_cfg=None, dw_act_cfg={"type": "SiLU"}, pw_norm_cfg=bn)
    assert isinstance(second.depthwise_conv.activate, nn.SiLU)
    assert not second.pointwise_conv.with_activation
    assert second.pointwise_conv.norm is not None
    with pytest.raises(ValueError, match="groups"):
        DepthwiseSeparableConvModule(4, 6, 3, groups=2)


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_focus_sees_every_pixel_once(size: tuple[int, int]) -> None:
    """It is a convolution of twice the kernel and stride 2; the pixels of a square come column by column."""
    torch.manual_seed(0)
    layer = Focus(2, 3, kernel_size=1, norm_cfg=None, act_cfg=None)
    weight = layer.conv.conv.weight
    kernel = torch.zeros(3, 2, 2, 2)
    for part, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        kernel[:, :, row, column] = weight[:, 2 * part : 2 * part + 2, 0, 0]
    x = torch.randn(2, 2, *size)
    padded = F.pad(x, (0, size[1] % 2, 0, size[0] % 2))
    torch.testing.assert_close(layer(x), F.conv2d(padded, kernel, layer.conv.conv.bias, stride=2))


@pytest.mark.parametrize("kernels", [(5, 9, 13), (3,), (3, 11)])
def test_pooling_in_a_row_is_pooling_side_by_side(kernels: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = SPPBottleneck(8, 6, kernel_sizes=kernels, norm_cfg=None, act_cfg=None)
    x = torch.randn(2, 8, 15, 10) - 3
    inside = layer.conv1(x)
    maps = [inside] + [F.max_pool2d(inside, size, stride=1, padding=size // 2) for size in kernels]
    torch.testing.assert_close(layer(x), layer.conv2(torch.cat(maps, 1)))


@pytest.mark.parametrize("kernels", [(4, 8), (5, 5), (9, 5), (1, 3)])
def test_pooling_windows_are_odd_and_grow(kernels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="odd and grow"):
        SPPBottleneck(8, 8, kernel_sizes=kernels)


def test_channel_attention() -> None:
    torch.manual_seed(0)
    layer, x = ChannelAttention(4), 3 * torch.randn(2, 4, 5, 3)
    for image in range(2):
        means = torch.stack([x[image, channel].mean() for channel in range(4)])
        scores = layer.fc.weight[:, :, 0, 0] @ means + layer.fc.bias
        share = ((scores + 3) / 6).clamp(0, 1)
        torch.testing.assert_close(layer(x)[image], x[image] * share[:, None, None])


@pytest.mark.parametrize(
    ("block", "kernels"),
    [
        (DarknetBottleneck(8, 8), (1, 3)),
        (DarknetBottleneck(8, 8, use_depthwise=True), (1, (3, 1))),
        (CSPNeXtBlock(8, 8), (3, (5, 1))),
        (CSPNeXtBlock(8, 8, use_depthwise=True, kernel_size=7), ((3, 1), (7, 1))),
    ],
)
def test_blocks(block: Any, kernels: tuple[Any, ...]) -> None:
    x = torch.randn(1, 8, 6, 6)
    torch.testing.assert_close(block.eval()(x), x + block.conv2(block.conv1(x)))
    for conv, kernel in zip((block.conv1, block.conv2), kernels, strict=True):
        parts = [part for part in conv.modules() if isinstance(part, nn.Conv2d)]
        sizes = tuple(part.kernel_size[0] for part in parts)
        assert (sizes if isinstance(kernel, tuple) else sizes[0]) == kernel
    assert next(block.conv1.parameters()).shape[0] in (4, 8)


@pytest.mark.parametrize("kind", [DarknetBottleneck, CSPNeXtBlock])
def test_shortcut_only_where_channels_stay(kind: Any) -> None:
    assert kind(8, 8).add_identity
    assert not kind(8, 4).add_identity
    assert not kind(8, 8, add_identity=False).add_identity
    assert kind(8, 8, expansion=0.25).conv1.conv.out_channels == 2


def test_csp_layer_leaves_one_half_as_it_is() -> None:
    torch.manual_seed(0)
    layer = CSPLayer(8, 12, num_blocks=2, channel_attention=True).eval()
    nn.init.normal_(layer.attention.fc.weight)
    x = torch.randn(1, 8, 6, 6)
    main = layer.blocks[1](layer.blocks[0](layer.main_conv(x)))
    both = torch.cat((main, layer.short_conv(x)), 1)
    torch.testing.assert_close(layer(x), layer.final_conv(layer.attention(both)))
    assert layer.main_conv.out_channels == layer.blocks[0].conv1.out_channels == 6
    names = {name.split(".")[0] for name in layer.state_dict()}
    assert names == {"main_conv", "short_conv", "final_conv", "blocks", "attention"}
    assert "attention" not in {name.split(".")[0] for name in CSPLayer(8, 12).state_dict()}
    assert isinstance(layer.main_conv, ConvModule)
