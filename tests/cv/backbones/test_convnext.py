"""ConvNeXt: what its arguments do, and the depths of its parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from visuite.cv.backbones import ConvNeXt
from visuite.cv.layers import DropPath

THIN = {"depths": (1, 1, 2, 1), "channels": (8, 8, 16, 16)}


def test_vectors_are_normed_means() -> None:
    maps = ConvNeXt(THIN, gap_before_final_norm=False).eval()
    means = ConvNeXt(THIN).eval()
    means.load_state_dict(maps.state_dict())
    nn.init.uniform_(means.norm3.weight)
    x = torch.randn(2, 3, 64, 64)
    maps.norm3 = nn.Identity()
    (got,) = means(x)
    (raw,) = maps(x)
    assert got.shape == (2, 16)
    torch.testing.assert_close(got, means.norm3(raw.mean((2, 3), keepdim=True)).flatten(1))


def test_linear_layers_and_1x1_convolutions_are_one_thing() -> None:
    one = ConvNeXt(THIN, use_grn=True, layer_scale_init_value=0.3).eval()
    other = ConvNeXt(THIN, use_grn=True, layer_scale_init_value=0.3, linear_pw_conv=False).eval()
    for name, value in one.named_parameters():
        if ".grn." in name:
            nn.init.uniform_(value)
    state = other.state_dict()
    other.load_state_dict({name: value.reshape(state[name].shape) for name, value in one.state_dict().items()})
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(one(x)[0], other(x)[0], rtol=1e-4, atol=1e-5)


def test_drop_paths_grow_with_depth() -> None:
    net = ConvNeXt(THIN, drop_path_rate=0.4)
    rates = [layer.drop_prob for layer in net.modules() if isinstance(layer, DropPath)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])  # and the first block has none


def test_layer_scale() -> None:
    assert ConvNeXt(THIN, layer_scale_init_value=0.5).stages[0][0].gamma.eq(0.5).all()
    assert ConvNeXt(THIN, layer_scale_init_value=0.0).stages[0][0].gamma is None


@pytest.mark.parametrize(("arch", "deepest"), [("tiny", 6), ("small", 12)])
def test_depths_of_parameters(arch: str, deepest: int) -> None:
    with torch.device("meta"):
        net = ConvNeXt(arch)
    told = {name: net.get_layer_depth(f"backbone.{name}", "backbone.") for name, _ in net.named_parameters()}
    assert {count for _, count in told.values()} == {deepest + 2}
    depth = {name: one for name, (one, _) in told.items()}
    assert depth["downsample_layers.0.0.weight"] == 0
    assert depth["stages.0.2.gamma"] == 1
    assert depth["downsample_layers.1.1.weight"] == depth["stages.1.0.gamma"] == 2
    assert depth["stages.2.0.gamma"] == depth["stages.2.2.gamma"] == 3
    assert depth["stages.2.3.gamma"] == 4
    assert depth["downsample_layers.3.1.weight"] == depth["stages.3.0.norm.weight"] == deepest
    assert depth["norm3.weight"] == deepest + 1
    assert net.get_layer_depth("stages.0.0.gamma")[0] == 1
