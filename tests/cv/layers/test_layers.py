"""Layers by their config names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visuite.cv.layers import (
    ConvModule,
    DropPath,
    SyncBatchNorm,
    build_activation_layer,
    build_conv_layer,
    build_dropout,
    build_norm_layer,
    build_padding_layer,
    build_plugin_layer,
    build_upsample_layer,
    is_norm,
)


@pytest.mark.parametrize(
    ("cfg", "name", "kind"),
    [
        ({"type": "BN"}, "bn3", nn.BatchNorm2d),
        ({"type": "SyncBN", "requires_grad": False}, "bn3", nn.SyncBatchNorm),
        ({"type": "GN", "num_groups": 2}, "gn3", nn.GroupNorm),
        ({"type": "LN", "eps": 1e-6}, "ln3", nn.LayerNorm),
        ({"type": "IN", "affine": True}, "in3", nn.InstanceNorm2d),
    ],
)
def test_norms(cfg: dict[str, Any], name: str, kind: type) -> None:
    got, layer = build_norm_layer(cfg, 8, postfix=3)
    assert got == name
    assert isinstance(layer, kind)
    assert is_norm(layer)
    assert all(p.requires_grad == cfg.get("requires_grad", True) for p in layer.parameters())
    assert not is_norm(nn.ReLU())


def test_batch_norm_over_processes_works_in_one() -> None:
    x = torch.randn(4, 8, 3, 3)
    one, other = SyncBatchNorm(8).train(), nn.BatchNorm2d(8).train()
    torch.testing.assert_close(one(x), other(x))
    torch.testing.assert_close(one.running_var, other.running_var)


@pytest.mark.parametrize(
    "name", ["ReLU", "LeakyReLU", "PReLU", "GELU", "SiLU", "Swish", "HSwish", "HSigmoid", "Clamp", "Mish", "Tanh"]
)
def test_activations_keep_shapes(name: str) -> None:
    assert build_activation_layer({"type": name})(torch.randn(2, 3, 4, 4)).shape == (2, 3, 4, 4)


def test_activation_values() -> None:
    x = torch.linspace(-6, 6, 25)
    torch.testing.assert_close(build_activation_layer({"type": "Swish"})(x), nn.functional.silu(x))
    torch.testing.assert_close(build_activation_layer({"type": "HSigmoid"})(x), nn.functional.hardsigmoid(x))


def test_convolutions_and_paddings() -> None:
    assert isinstance(build_conv_layer(None, 3, 4, 1), nn.Conv2d)
    assert build_conv_layer({"type": "Conv", "dilation": 2}, 3, 4, 3).dilation == (2, 2)
    assert build_padding_layer({"type": "reflect"}, 2)(torch.randn(1, 1, 4, 4)).shape == (1, 1, 8, 8)
    with pytest.raises(KeyError, match="Conv2d"):
        build_conv_layer({"type": "Conv2dd"}, 3, 4, 1)


@pytest.mark.parametrize(
    ("cfg", "shape"),
    [
        ({"type": "nearest", "scale_factor": 2}, (1, 4, 10, 12)),
        ({"type": "bilinear", "scale_factor": 2, "align_corners": False}, (1, 4, 10, 12)),
        (
            {"type": "pixel_shuffle", "in_channels": 4, "out_channels": 6, "scale_factor": 2, "upsample_kernel": 3},
            (1, 6, 10, 12),
        ),
        (
            {"type": "deconv", "in_channels": 4, "out_channels": 6, "kernel_size": 4, "stride": 2, "padding": 1},
            (1, 6, 10, 12),
        ),
    ],
)
def test_upsampling(cfg: dict[str, Any], shape: tuple[int, ...]) -> None:
    assert build_upsample_layer(cfg)(torch.randn(1, 4, 5, 6)).shape == shape


def test_plugin_names() -> None:
    class SpatialGate2d(nn.Identity):
        pass

    name, _ = build_plugin_layer({"type": SpatialGate2d}, postfix="_a", in_channels=3)
    assert name == "spatial_gate2d_a"


def test_conv_module_is_its_parts() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 9)
    layer = ConvModule(4, 6, 3, padding=1, norm_cfg={"type": "BN"}).eval()
    assert list(layer.state_dict())[:2] == ["conv.weight", "bn.weight"]
    assert layer.conv.bias is None
    torch.testing.assert_close(layer(x), layer.bn(layer.conv(x)).relu())
    torch.testing.assert_close(layer(x, activate=False, norm=False), layer.conv(x))
    assert ConvModule(4, 6, 1).conv.bias is not None


def test_conv_module_order_and_padding() -> None:
    x = torch.randn(2, 4, 9, 9)
    layer = ConvModule(4, 6, 3, padding=1, norm_cfg={"type": "BN"}, order=("norm", "act", "conv"), inplace=False).eval()
    torch.testing.assert_close(layer(x), layer.conv(layer.bn(x).relu()))
    mirrored = ConvModule(4, 6, 3, padding=2, padding_mode="reflect", act_cfg=None)
    padded = nn.functional.pad(x, (2, 2, 2, 2), mode="reflect")
    torch.testing.assert_close(mirrored(x), nn.functional.conv2d(padded, mirrored.conv.weight, mirrored.conv.bias))
    with pytest.raises(ValueError, match="permutation"):
        ConvModule(4, 6, 1, order=("conv", "act", "act"))


def test_conv_module_spectral_norm() -> None:
    layer = ConvModule(4, 6, 1, with_spectral_norm=True, act_cfg=None).train()
    for _ in range(30):
        layer(torch.randn(1, 4, 2, 2))
    assert torch.linalg.matrix_norm(layer.conv.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_drop_path_keeps_the_mean_and_whole_samples() -> None:
    torch.manual_seed(0)
    layer, x = DropPath(0.3).train(), torch.ones(20000, 2, 2)
    out = layer(x)
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    whole = out.flatten(1).sum(1)
    assert ((whole == 0) | ((whole - 4 / 0.7).abs() < 1e-4)).all()
    assert torch.equal(layer.eval()(x), x)
    assert build_dropout({"type": "Dropout", "drop_prob": 0.25}).p == 0.25
