"""Folding batch norms: the same predictions, with fewer layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests.cv.layers.live import live
from visuite.cv.backbones import CSPNeXt, ResNet
from visuite.cv.layers import (
    Conv2dAdaptivePadding,
    ConvModule,
    RepVGGBlock,
    build_conv_layer,
    fold_norm,
    fuse_conv_bn,
    switch_to_deploy,
)

BN = {"type": "BN"}


def _norms(part: nn.Module) -> int:
    return sum(isinstance(layer, _BatchNorm) for layer in part.modules())


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvModule(4, 6, 3, norm_cfg=BN),
        lambda: ConvModule(4, 6, 3, norm_cfg=BN, bias=True, order=("act", "conv", "norm"), inplace=False),
        lambda: ConvModule(4, 6, 3, norm_cfg=BN, conv_cfg={"type": "Conv2dAdaptivePadding"}, groups=2),
        lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(Conv2dAdaptivePadding(4, 6, 3, stride=2), nn.BatchNorm2d(6)),
    ],
)
def test_folded_layers_give_the_same(make: Any) -> None:
    torch.manual_seed(0)
    part, x = live(make()), torch.randn(2, 4, 9, 9)
    with torch.no_grad():
        expected = part(x)
        fused = fuse_conv_bn(part)
        assert fused is part
        assert _norms(part) == 0
        torch.testing.assert_close(part(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResNet(18, base_channels=8),
        lambda: ResNet(50, base_channels=8, deep_stem=True, avg_down=True),
        lambda: CSPNeXt(deepen_factor=0.1, widen_factor=0.125),
    ],
)
def test_folded_networks_give_the_same(make: Any) -> None:
    torch.manual_seed(0)
    net, x = live(make()), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = net(x)
        assert _norms(fuse_conv_bn(net)) == 0
        for got, want in zip(net(x), expected, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3 * float(want.abs().max()))
    assert not [name for name in net.state_dict() if "running" in name]


@pytest.mark.parametrize("kind", ["1d", "3d"])
def test_other_numbers_of_dimensions(kind: str) -> None:
    torch.manual_seed(0)
    conv, norm = getattr(nn, f"Conv{kind}")(4, 6, 3), getattr(nn, f"BatchNorm{kind}")(6)
    part, x = live(nn.Sequential(conv, norm)), torch.randn(2, 4, *(5,) * int(kind[0]))
    expected = part(x)
    torch.testing.assert_close(fuse_conv_bn(part)(x), expected, rtol=1e-4, atol=1e-5)
    assert _norms(part) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvModule(4, 4, 3, norm_cfg=BN, order=("norm", "act", "conv"), inplace=False),
        lambda: ConvModule(4, 4, 3, norm_cfg=BN, order=("conv", "act", "norm"), inplace=False),
        lambda: ConvModule(4, 4, 3, norm_cfg={"type": "GN", "num_groups": 2}),
        lambda: ConvModule(4, 4, 3, norm_cfg=BN, conv_cfg={"type": "ConvWS"}),
        lambda: ConvModule(4, 4, 3, norm_cfg=BN, with_spectral_norm=True),
        lambda: nn.Sequential(build_conv_layer({"type": "DCNv2"}, 4, 4, 3), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)),
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.BatchNorm2d(4)),
    ],
)
def test_what_cannot_be_folded_stays(make: Any) -> None:
    torch.manual_seed(0)
    part, x = live(make()), torch.randn(2, 4, 9, 9)
    names = list(part.state_dict())
    expected = part(x)
    fuse_conv_bn(part)
    assert list(part.state_dict()) == names
    torch.testing.assert_close(part(x), expected)


def test_shared_convolution_becomes_one_for_each_norm() -> None:
    """Heads share convolutions between levels, each of which has a norm of its own."""
    torch.manual_seed(0)
    levels = nn.ModuleList(ConvModule(4, 4, 3, norm_cfg=BN) for _ in range(3))
    for level in levels[1:]:
        level.conv = levels[0].conv
    live(levels)
    x = torch.randn(2, 4, 9, 9)
    expected = [level(x) for level in levels]
    fuse_conv_bn(levels)
    assert len({id(level.conv) for level in levels}) == 3
    for level, want in zip(levels, expected, strict=True):
        torch.testing.assert_close(level(x), want, rtol=1e-4, atol=1e-5)


def test_bias_is_folded_too() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(4, 6, 3), live(nn.BatchNorm2d(6))
    x = torch.randn(2, 4, 7, 7)
    kernel, bias = fold_norm(conv.weight, norm, conv.bias)
    torch.testing.assert_close(nn.functional.conv2d(x, kernel, bias), norm(conv(x)), rtol=1e-4, atol=1e-5)


def test_switching_to_what_predicts() -> None:
    torch.manual_seed(0)
    model = live(nn.Sequential(RepVGGBlock(4, 4), nn.Sequential(RepVGGBlock(4, 8, stride=2)), nn.ReLU()))
    x = torch.randn(2, 4, 8, 8)
    expected = model(x)
    assert switch_to_deploy(model) is model
    assert {name.split(".")[-2] for name in model.state_dict()} == {"branch_reparam"}
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
