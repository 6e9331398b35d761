"""Darknet-53: contracts, and what YOLOv3's paper says of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests import contracts
from visuite.cv.backbones import Darknet


class Thin(Darknet):
    """Darknet with a block after each convolution, so that tests are quick."""

    arch_settings = {53: (1, 1, 1, 1, 1)}


def _make(**more: Any) -> nn.Module:
    return Thin(**{"out_indices": (0, 1, 2, 3, 4, 5), "norm_eval": False, **more})


def test_contracts() -> None:
    contracts.backbone_tells_its_maps(_make, size=(65, 33))
    contracts.state_dict_round_trip(_make)
    contracts.works_in_half_precision(_make)
    contracts.norm_eval_holds(Thin)
    contracts.frozen_stages_hold(lambda: _make(frozen_stages=2), ("conv1", "conv_res_block1"))


def test_gradients_and_channels() -> None:
    contracts.gradients_reach_every_parameter(_make)
    contracts.takes_any_channels(_make, (5,))


def test_sizes_are_those_of_the_paper() -> None:
    """Table 1 of arXiv:1804.02767: 52 convolutions, widths 32 to 1024; half the channels inside of a block."""
    with torch.device("meta"):
        net = Darknet()
    convs = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convs) == 52
    stages = [getattr(net, f"conv_res_block{index}") for index in range(1, 6)]
    assert [len(stage) - 1 for stage in stages] == [1, 2, 8, 8, 4]
    assert [stage.conv.out_channels for stage in stages] == [64, 128, 256, 512, 1024]
    assert net.out_channels == (256, 512, 1024)
    assert net.out_strides == (8, 16, 32)
    assert net.conv_res_block5.res3.conv1.conv.weight.shape == (512, 1024, 1, 1)
    assert net.conv1.activate.negative_slope == 0.1


def test_same_features_as_timm_from_its_weights() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs = timm.create_model("darknet53", num_classes=0).eval()
    ours = Darknet(out_indices=(5,), act_cfg={"type": "LeakyReLU", "negative_slope": 0.01}).eval()
    for layer in theirs.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(images)[0], theirs.forward_features(images), rtol=1e-4, atol=1e-5)
