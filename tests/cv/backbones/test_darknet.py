"""Darknet-53: what YOLOv3's paper says of it."""

from __future__ import annotations

import torch
from torch import nn

from visuite.cv.backbones import Darknet


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
