"""The tables of CSPDarknet and CSPNeXt, and stages in full."""

from __future__ import annotations

import torch
from torch import nn

from visuite.cv.backbones import CSPDarknet, CSPNeXt
from visuite.cv.layers import CSPLayer, SPPBottleneck


def test_stages_of_the_papers() -> None:
    assert CSPDarknet.arch_settings["P5"] == (
        (64, 128, 3, True, False),
        (128, 256, 9, True, False),
        (256, 512, 9, True, False),
        (512, 1024, 3, False, True),
    )
    assert CSPNeXt.arch_settings["P6"] == (
        (64, 128, 3, True, False),
        (128, 256, 6, True, False),
        (256, 512, 6, True, False),
        (512, 768, 3, True, False),
        (768, 1024, 3, False, True),
    )


def test_stages_in_full_win_over_the_name() -> None:
    stages = ((16, 32, 1, False, True), (32, 48, 2, True, False))
    with torch.device("meta"):
        net = CSPDarknet(arch_ovewrite=stages, widen_factor=0.5, out_indices=(1, 2))
    assert net.out_channels == (16, 24)
    assert net.out_strides == (4, 8)
    assert isinstance(net.stage1[1], SPPBottleneck)
    assert [type(part) for part in net.stage2][1:] == [CSPLayer]
    assert [block.add_identity for block in net.stage2[1].blocks] == [True, True]


def test_depth_factor_leaves_a_block_at_least() -> None:
    with torch.device("meta"):
        counts = [len(getattr(CSPNeXt(deepen_factor=0.167), f"stage{i}")[-1].blocks) for i in range(1, 5)]
    assert counts == [1, 1, 1, 1]


def test_weights_begin_as_those_of_plain_convolutions() -> None:
    """Evenly drawn, with the variance 1 / (3 fan_in)."""
    torch.manual_seed(0)
    net = CSPNeXt(deepen_factor=0.1, widen_factor=0.25)
    net.init_weights()
    conv = net.stage3[0].conv
    assert isinstance(conv, nn.Conv2d)
    weight = conv.weight.detach()
    bound = weight[0].numel() ** -0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert abs(float(weight.var()) * 3 / bound**2 - 1) < 0.05
