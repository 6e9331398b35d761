"""Convolution by a standardised kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from visuite.cv.layers import ConvModule, ConvWS2d, build_conv_layer, standardise_kernel


def test_kernel_is_standardised_for_each_channel_out() -> None:
    torch.manual_seed(0)
    weight = 3 * torch.randn(5, 4, 3, 3) + 2
    got = standardise_kernel(weight)
    for one, kernel in zip(got.numpy(), weight.numpy(), strict=True):
        want = (kernel - kernel.mean()) / (np.std(kernel, ddof=1) + 1e-5)
        np.testing.assert_allclose(one, want, rtol=1e-4, atol=1e-5)
    assert got.mean((1, 2, 3)).abs().max() < 1e-6


def test_scale_and_shift_of_the_weight_make_no_difference() -> None:
    torch.manual_seed(0)
    layer, x = ConvWS2d(4, 6, 3, padding=1, bias=False), torch.randn(2, 4, 7, 7)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(7).add_(1)
    torch.testing.assert_close(layer(x), before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 2])
def test_layer_by_its_config_name(groups: int) -> None:
    torch.manual_seed(0)
    layer = build_conv_layer({"type": "ConvWS"}, 4, 6, 3, stride=2, padding=2, dilation=2, groups=groups)
    assert list(layer.state_dict()) == ["weight", "bias"]
    x = torch.randn(2, 4, 9, 8)
    kernel = standardise_kernel(layer.weight)
    want = F.conv2d(x, kernel, layer.bias, stride=2, padding=2, dilation=2, groups=groups)
    torch.testing.assert_close(layer(x), want)
    assert isinstance(ConvModule(4, 6, 3, conv_cfg={"type": "ConvWS"}).conv, ConvWS2d)
