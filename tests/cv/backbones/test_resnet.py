"""ResNet: what each argument does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.cv.backbones.variants import Gate
from visuite.cv.backbones import ResNet
from visuite.engine.registry import MODELS


def test_names_of_the_variants_in_state_dicts() -> None:
    dense = set(MODELS.build({"type": "ResNetV1d", "depth": 50}).state_dict())
    assert {"stem.0.weight", "stem.1.running_mean", "stem.6.weight", "layer1.0.downsample.1.weight"} <= dense
    cls = set(MODELS.build({"type": "cls.ResNetV1d", "depth": 50}).state_dict())
    assert {"stem.0.conv.weight", "stem.2.bn.weight", "layer1.0.downsample.0.weight"} <= cls
    assert {name for name in dense if name.startswith("layer2")} == {name for name in cls if name.startswith("layer2")}


def test_defaults_of_classification() -> None:
    assert MODELS.build({"type": "cls.ResNet", "depth": 18}).out_indices == (3,)
    assert MODELS.build({"type": "ResNet", "depth": 18}).out_indices == (0, 1, 2, 3)


def test_style_says_which_convolution_strides() -> None:
    for style, strides in (("pytorch", (1, 2)), ("caffe", (2, 1))):
        block = ResNet(50, base_channels=4, style=style).layer2[0]
        assert (block.conv1.stride[0], block.conv2.stride[0]) == strides


def test_dilations_of_the_blocks() -> None:
    contracted = ResNet(
        50, base_channels=4, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True
    )  # fmt: skip
    assert [block.conv2.dilation[0] for block in contracted.layer4] == [2, 4, 4]
    grid = ResNet(50, base_channels=4, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), multi_grid=(1, 2, 4))
    assert [block.conv2.dilation[0] for block in grid.layer4] == [1, 2, 4]
    assert [block.conv2.dilation[0] for block in grid.layer3] == [1] * 6


def test_blocks_start_as_their_shortcuts() -> None:
    net = ResNet(18, base_channels=8)
    net.init_weights()
    assert all(block.bn2.weight.abs().sum() == 0 for stage in net.res_layers for block in getattr(net, stage))
    assert net.bn1.weight.eq(1).all()
    net = ResNet(18, base_channels=8, zero_init_residual=False)
    net.init_weights()
    assert net.layer1[0].bn2.weight.eq(1).all()


def test_plugins_stand_where_they_are_put() -> None:
    plugins = [
        {"cfg": {"type": Gate, "bias": False}, "stages": (False, True, True, False), "position": "after_conv3"},
        {"cfg": {"type": Gate, "postfix": "_mid"}, "position": "after_conv2"},
    ]
    net = ResNet(50, base_channels=8, plugins=plugins)
    assert not hasattr(net.layer1[0], "gate")
    assert net.layer2[0].gate.conv.weight.shape[0] == 64
    assert net.layer2[0].gate.conv.bias is None
    assert net.layer1[0].gate_mid.conv.weight.shape[0] == 8


def test_dropped_paths_leave_the_shortcut() -> None:
    block = ResNet(18, base_channels=8, drop_path_rate=1.0).train().layer1[0]
    x = torch.randn(2, 8, 8, 8).relu()
    torch.testing.assert_close(block(x), x)
    assert not torch.equal(block.eval()(x), x)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depth": 20}, "depth 20"),
        ({"depth": 18, "style": "tensorflow"}, "tensorflow"),
        ({"depth": 18, "num_stages": 3}, "out_indices"),
        ({"depth": 18, "strides": (1, 2)}, "strides"),
        ({"depth": 18, "stage_with_dcn": (True,) * 4, "dcn": {"type": "DCN"}}, "bottleneck"),
        ({"depth": 50, "plugins": [{"cfg": {"type": Gate}, "position": "before"}]}, "position"),
        ({"depth": 18, "pretrained": "a.pth", "init_cfg": {"type": "Normal"}}, "both"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ResNet(**arguments)


def test_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="frozen_stages"):
        MODELS.build({"type": "ResNet", "depth": 18, "frozen_stage": 1})
