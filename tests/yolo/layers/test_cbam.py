"""CBAM against loops over channels and places."""

from __future__ import annotations

import math

import pytest
import torch

from visuite.engine.registry import DefaultScope
from visuite.yolo.backbones import YOLOv8CSPDarknet
from visuite.yolo.layers import CBAM


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_weighs_channels_then_places() -> None:
    torch.manual_seed(0)
    layer, x = CBAM(4, reduce_ratio=2, kernel_size=3), torch.randn(1, 4, 5, 6)
    first, second = (part.conv.weight.detach()[:, :, 0, 0] for part in layer.channel_attention)
    kernel = layer.spatial_attention.conv.weight.detach()[0]
    total = torch.zeros(4)
    for looked in (torch.stack([one.mean() for one in x[0]]), torch.stack([one.max() for one in x[0]])):
        total += second @ (first @ looked).clamp(min=0)
    weighed = torch.stack([one * sigmoid(float(weight)) for one, weight in zip(x[0], total, strict=True)])
    expected = torch.zeros_like(weighed)
    for row in range(5):
        for column in range(6):
            score = 0.0
            for i in range(3):
                for j in range(3):
                    r, c = row + i - 1, column + j - 1
                    if 0 <= r < 5 and 0 <= c < 6:
                        place = weighed[:, r, c]
                        score += float(kernel[0, i, j] * place.mean() + kernel[1, i, j] * place.max())
            expected[:, row, column] = weighed[:, row, column] * sigmoid(score)
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[0], expected)


def test_goes_behind_stages_by_its_name() -> None:
    with DefaultScope.overwrite_default_scope("mmyolo"):
        plugins = [{"cfg": {"type": "CBAM", "reduce_ratio": 4}, "stages": (False, False, True, True)}]
        net = YOLOv8CSPDarknet(deepen_factor=0.1, widen_factor=0.125, plugins=plugins)
    assert [type(getattr(net, f"stage{index}")[-1]) is CBAM for index in range(1, 5)] == [False, False, True, True]


def test_an_even_kernel_is_told() -> None:
    with pytest.raises(ValueError, match="odd, not 4"):
        CBAM(8, kernel_size=4)
