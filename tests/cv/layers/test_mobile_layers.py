"""Squeeze-and-excitation, inverted residuals, adaptive padding and what they need."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from visuite.cv.layers import (
    Conv2dAdaptivePadding,
    EdgeResidual,
    InvertedResidual,
    LinearBottleneck,
    SELayer,
    build_conv_layer,
    make_divisible,
    recompute,
)


@given(st.floats(1, 5000), st.sampled_from([1, 4, 8, 16]))
def test_make_divisible_is_near_and_takes_little_away(value: float, divisor: int) -> None:
    got = make_divisible(value, divisor)
    assert got % divisor == 0
    assert got >= max(divisor, 0.9 * value)
    assert got <= value + 1.5 * divisor


def test_make_divisible_of_published_widths() -> None:
    assert [make_divisible(w, 8) for w in (12, 18, 20, 28.8, 38.4, 30)] == [16, 24, 24, 32, 40, 32]
    assert make_divisible(3, 8, min_value=4) == 4
    assert make_divisible(4, 4, min_value=16) == 16


def test_se_layer_weighs_channels() -> None:
    layer = SELayer(8, ratio=2, divisor=1).eval()
    x = torch.randn(2, 8, 5, 7)
    hidden = F.relu(layer.conv1.conv(F.adaptive_avg_pool2d(x, 1)))
    weight = torch.sigmoid(layer.conv2.conv(hidden))
    torch.testing.assert_close(layer(x), x * weight)
    layer.return_weight = True
    torch.testing.assert_close(layer(x), weight)


def test_se_layer_squeezes_as_told() -> None:
    assert SELayer(64).conv1.out_channels == 8  # 4, but a multiple of 8
    assert SELayer(64, divisor=1).conv1.out_channels == 4
    assert SELayer(64, squeeze_channels=5).conv2.in_channels == 5
    assert type(SELayer(8, act_cfg={"type": "HSigmoid"}).conv1.activate).__name__ == "HSigmoid"
    assert SELayer(8, bias=False).conv1.conv.bias is None


@pytest.mark.parametrize(
    ("arguments", "words"), [({"squeeze_channels": 0}, "positive"), ({"act_cfg": [{"type": "ReLU"}] * 3}, "two")]
)
def test_bad_se_layers(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SELayer(8, **arguments)


@settings(deadline=None, max_examples=40)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
)
def test_adaptive_padding_as_tensorflow_defines_it(
    kernel: int, stride: int, dilation: int, height: int, width: int
) -> None:
    layer = Conv2dAdaptivePadding(1, 1, kernel, stride=stride, dilation=dilation, bias=False)
    nn.init.ones_(layer.weight)
    got = layer(torch.ones(1, 1, height, width))
    rows, columns = -(-height // stride), -(-width // stride)
    assert got.shape == (1, 1, rows, columns)

    def seen(size: int, steps: int) -> list[int]:
        """Pixels under the kernel at each step, half of what is missing lying before the first."""
        before = max((steps - 1) * stride + dilation * (kernel - 1) + 1 - size, 0) // 2
        places = [[step * stride + dilation * tap - before for tap in range(kernel)] for step in range(steps)]
        return [sum(0 <= place < size for place in one) for one in places]

    expected = torch.tensor(seen(height, rows))[:, None] * torch.tensor(seen(width, columns))
    torch.testing.assert_close(got[0, 0], expected.to(got))


def test_adaptive_padding_by_name() -> None:
    layer = build_conv_layer({"type": "Conv2dAdaptivePadding"}, 4, 8, 3, stride=2, padding=1, bias=False)
    assert layer(torch.zeros(1, 4, 224, 224)).shape == (1, 8, 112, 112)


@pytest.mark.parametrize(
    "make",
    [
        lambda out, **more: InvertedResidual(8, out, 16, se_cfg={"ratio": 4, "divisor": 1}, **more),
        lambda out, **more: InvertedResidual(8, out, 8, kernel_size=5, dilation=2, **more),
        lambda out, **more: EdgeResidual(8, out, 16, se_cfg={"ratio": 4, "divisor": 1}, **more),
        lambda out, **more: LinearBottleneck(8, out, expand_ratio=2, **more),
        lambda out, **more: LinearBottleneck(8, out, expand_ratio=1, dilation=2, **more),
    ],
)
def test_shapes_and_shortcuts(make: Any) -> None:
    x = torch.randn(2, 8, 9, 12)
    assert make(8, stride=2)(x).shape == (2, 8, 5, 6)
    assert make(12, stride=1)(x).shape == (2, 12, 9, 12)
    keeps = make(8, stride=1).eval()
    for layer in keeps.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.weight)
    torch.testing.assert_close(keeps(x), x)
    assert not make(8, stride=2).with_shortcut
    with pytest.raises(ValueError, match="stride"):
        make(8, stride=3)


@pytest.mark.parametrize("kind", [InvertedResidual, EdgeResidual])
def test_dropped_paths_leave_the_shortcut(kind: type[nn.Module]) -> None:
    block, x = kind(8, 8, 16, drop_path_rate=1.0).train(), torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(block(x), x)
    assert not torch.equal(block.eval()(x), x)


def test_expansion_may_be_told() -> None:
    assert hasattr(InvertedResidual(8, 8, 8, with_expand_conv=True), "expand_conv")
    assert not hasattr(InvertedResidual(8, 8, 8), "expand_conv")
    with pytest.raises(ValueError, match="8 channels do not become 16"):
        InvertedResidual(8, 8, 16, with_expand_conv=False)
    assert not EdgeResidual(8, 8, 16, with_residual=False).with_shortcut


def test_recompute_keeps_nothing_inside() -> None:
    kept: list[int] = []

    def function(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x.exp() * y).sin().cos()

    x, y = torch.randn(4, requires_grad=True), torch.randn(4)
    gradients = []
    for enabled in (False, True):
        kept.append(0)

        def note(tensor: torch.Tensor) -> torch.Tensor:
            kept[-1] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            out = recompute(function, x, y, enabled=enabled)
        gradients.append(torch.autograd.grad(out.sum(), x)[0])
    torch.testing.assert_close(*gradients)
    assert kept[1] < kept[0]
    with torch.no_grad():
        assert not recompute(function, x, y, enabled=True).requires_grad
