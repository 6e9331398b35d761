"""The CSP layer of YOLOv8 against its definition, written out by torch's functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visuite.yolo.layers import CSPLayerWithTwoConv


def convolved(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A `ConvModule` in evaluation: convolution, batch norm by its statistics, SiLU."""
    conv, norm = layer.conv, layer.bn
    y = F.conv2d(x, conv.weight, padding=conv.weight.shape[-1] // 2)
    shape = (1, -1, 1, 1)
    y = (y - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
    y = y * norm.weight.view(shape) + norm.bias.view(shape)
    return y * torch.sigmoid(y)


@pytest.mark.parametrize("add_identity", [True, False])
@pytest.mark.parametrize("num_blocks", [1, 3])
def test_mixes_both_halves_and_what_each_block_gives(num_blocks: int, add_identity: bool) -> None:
    torch.manual_seed(0)
    layer = CSPLayerWithTwoConv(6, 8, num_blocks=num_blocks, add_identity=add_identity).eval()
    for norm in layer.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.normal_(norm.running_mean)
    x = torch.randn(2, 6, 9, 7)
    first, last = convolved(layer.main_conv, x).split(4, dim=1)
    maps = [first, last]
    for block in layer.blocks:
        out = convolved(block.conv2, convolved(block.conv1, last))
        last = last + out if add_identity else out
        maps.append(last)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), convolved(layer.final_conv, torch.cat(maps, 1)))


def test_width_inside_follows_the_ratio() -> None:
    layer = CSPLayerWithTwoConv(6, 8, expand_ratio=0.25, num_blocks=2)
    assert layer.main_conv.conv.weight.shape == (4, 6, 1, 1)
    assert layer.blocks[1].conv2.conv.weight.shape == (2, 2, 3, 3)
    assert layer.final_conv.conv.weight.shape == (8, 8, 1, 1)
