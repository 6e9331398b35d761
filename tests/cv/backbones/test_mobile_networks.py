"""MobileNets, ShuffleNet and EfficientNet: what their own arguments do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from visuite.cv.backbones import EfficientNet, MobileNetV2, MobileNetV3
from visuite.cv.backbones.shufflenet_v2 import channel_shuffle
from visuite.cv.layers import Conv2dAdaptivePadding
from visuite.engine.registry import MODELS


def _depthwise(net: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]


@pytest.mark.parametrize(
    ("arch", "stride", "dilated"), [("small", 8, [1] * 3 + [2] * 5 + [4] * 3), ("large", 16, None)]
)
def test_dilation_in_place_of_strides(arch: str, stride: int, dilated: list[int] | None) -> None:
    net = MobileNetV3(arch, output_stride=stride)
    assert net.out_strides == (stride,)
    got = [conv.dilation[0] for conv in _depthwise(net)]
    assert got == (dilated or [1] * 12 + [2] * 3)
    assert all(conv.padding[0] == conv.dilation[0] * (conv.kernel_size[0] // 2) for conv in _depthwise(net))
    assert net(torch.zeros(2, 3, 64, 96))[0].shape[2:] == (64 // stride, 96 // stride)


def test_dilated_weights_are_the_plain_ones() -> None:
    plain, dilated = MobileNetV3("large"), MobileNetV3("large", output_stride=8, adaptive_padding=True)
    dilated.load_state_dict(plain.state_dict(), strict=True)


def test_adaptive_padding_is_where_strides_are() -> None:
    net = MobileNetV3("small", adaptive_padding=True)
    for conv in (net.layer0.conv, *_depthwise(net)):
        assert isinstance(conv, Conv2dAdaptivePadding) == (conv.stride[0] == 2)


def test_reduction_halves_the_last_stage() -> None:
    widths = [conv.in_channels for conv in _depthwise(MobileNetV3("large", reduction_factor=2))]
    assert widths[-3:] == [336, 480, 480]
    assert widths[:-3] == [conv.in_channels for conv in _depthwise(MobileNetV3("large"))][:-3]
    assert MobileNetV3("large", reduction_factor=2, out_indices=(15, 16)).out_channels == (80, 960)


def test_widths_and_dilations_of_mobilenet_v2() -> None:
    net = MobileNetV2(
        0.5, strides=(1, 2, 2, 1, 1, 1, 1), dilations=(1, 1, 1, 2, 2, 4, 4), out_indices=(1, 2, 4, 6), last_conv=False
    )
    assert net.out_channels == (16, 16, 48, 160)
    assert net.out_strides == (4, 8, 8, 8)
    assert not hasattr(net, "conv2")
    assert [layer.conv[1].conv.dilation[0] for layer in net.layer4] == [2, 1, 1, 1]
    assert MobileNetV2(1.5, out_indices=(7,)).out_channels == (1920,)
    assert MODELS.build({"type": "cls.MobileNetV2", "widen_factor": 0.5}).out_channels == (1280,)


def test_channel_shuffle_takes_turns() -> None:
    x = torch.arange(6.0)[None, :, None, None].expand(2, 6, 2, 2)
    assert channel_shuffle(x, 2)[0, :, 0, 0].tolist() == [0, 3, 1, 4, 2, 5]
    torch.testing.assert_close(channel_shuffle(channel_shuffle(x, 2), 3), x)
    with pytest.raises(ValueError, match="groups"):
        channel_shuffle(x, 4)


def test_efficientnet_grows_in_both_ways() -> None:
    with torch.device("meta"):
        b0, b3, edge = EfficientNet("b0"), EfficientNet("b3"), EfficientNet("em")
    assert [len(stage) for stage in b0.layers[1:-1]] == [1, 2, 2, 6, 5]
    assert [len(stage) for stage in b3.layers[1:-1]] == [2, 3, 3, 10, 8]
    assert (b0.out_channels, b3.out_channels) == ((1280,), (1536,))
    assert not any(block.with_shortcut for block in edge.layers[1])
    assert [block.conv1.out_channels for block in edge.layers[1]] == [96, 96]
    assert not hasattr(edge.layers[4][0], "se")
