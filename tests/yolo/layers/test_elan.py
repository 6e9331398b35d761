"""ELAN blocks against the figures of YOLOv7's paper, link by link."""

from __future__ import annotations

import pytest
import torch

from tests.cv.layers.live import live
from visuite.yolo.layers import EELANBlock, ELANBlock, SPPFCSPBlock, TinyDownSampleBlock


def test_the_block_of_the_backbone_keeps_every_second_convolution() -> None:
    torch.manual_seed(0)
    block = live(ELANBlock(8, 12, middle_ratio=0.5, block_ratio=0.5, num_blocks=2, num_convs_in_block=2))
    x = torch.randn(2, 8, 5, 6)
    short, one = block.short_conv(x), block.main_conv(x)
    three = block.blocks[0][1](block.blocks[0][0](one))
    five = block.blocks[1][1](block.blocks[1][0](three))
    torch.testing.assert_close(block(x), block.final_conv(torch.cat((five, three, one, short), 1)))
    assert block.final_conv.conv.weight.shape == (12, 16, 1, 1)
    assert [name for name in block.state_dict() if name.startswith("blocks.1.1.conv")] == ["blocks.1.1.conv.weight"]


def test_the_block_of_the_neck_keeps_every_convolution() -> None:
    torch.manual_seed(0)
    block = live(ELANBlock(8, 6, middle_ratio=0.5, block_ratio=0.25, num_blocks=4))
    x = torch.randn(2, 8, 5, 6)
    chain = [block.main_conv(x)]
    for conv in block.blocks:
        chain.append(conv(chain[-1]))
    torch.testing.assert_close(block(x), block.final_conv(torch.cat([*chain[::-1], block.short_conv(x)], 1)))
    assert block.main_conv.conv.out_channels == 4
    assert [conv.conv.weight.shape[:2] for conv in block.blocks] == [(2, 4), (2, 2), (2, 2), (2, 2)]
    assert block.final_conv.conv.in_channels == 2 * 4 + 4 * 2


def test_the_extended_block_sums_blocks_of_the_same_map() -> None:
    torch.manual_seed(0)
    block = live(EELANBlock(3, in_channels=8, out_channels=6, middle_ratio=0.5, block_ratio=0.25))
    x = torch.randn(2, 8, 5, 6)
    torch.testing.assert_close(block(x), torch.stack([one(x) for one in block.e_elan_blocks]).sum(0))
    with pytest.raises(ValueError, match="num_elan_block is 0"):
        EELANBlock(0, in_channels=8, out_channels=6, middle_ratio=0.5, block_ratio=0.25)


def test_the_tiny_block_keeps_every_convolution() -> None:
    torch.manual_seed(0)
    block = live(TinyDownSampleBlock(8, 6, middle_ratio=0.5))
    x = torch.randn(2, 8, 5, 6)
    one = block.main_convs[0](x)
    two = block.main_convs[1](one)
    three = block.main_convs[2](two)
    torch.testing.assert_close(block(x), block.final_conv(torch.cat((three, two, one, block.short_conv(x)), 1)))


def maximum(x: torch.Tensor, side: int) -> torch.Tensor:
    """The maximum over squares, by plain loops."""
    out, reach = torch.empty_like(x), side // 2
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            window = x[..., max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
            out[..., row, column] = window.amax((2, 3))
    return out


@pytest.mark.parametrize("tiny", [True, False])
def test_pooling_on_one_half_of_the_channels(tiny: bool) -> None:
    torch.manual_seed(0)
    layer = live(SPPFCSPBlock(8, 6, expand_ratio=0.25, is_tiny_version=tiny))
    x = torch.randn(2, 8, 15, 7)
    with torch.no_grad():
        narrow = layer.main_layers(x)
        maps = [narrow, maximum(narrow, 5), maximum(narrow, 9), maximum(narrow, 13)]
        pooled = layer.fuse_layers(torch.cat(maps[::-1] if tiny else maps, 1))
        torch.testing.assert_close(layer(x), layer.final_conv(torch.cat((pooled, layer.short_layer(x)), 1)))
    assert narrow.shape[1] == 3
    around = [*layer.main_layers.parameters(), *layer.fuse_layers.parameters()]
    kernels = [weight.shape[-1] for weight in around if weight.ndim == 4]
    assert kernels == ([1, 1] if tiny else [1, 3, 1, 1, 3])


def test_sides_of_the_squares_may_be_told() -> None:
    torch.manual_seed(0)
    first, all_of_them = SPPFCSPBlock(8, 6, kernel_sizes=3).eval(), SPPFCSPBlock(8, 6, kernel_sizes=(3, 5, 7)).eval()
    all_of_them.load_state_dict(first.state_dict())
    x = torch.randn(2, 8, 9, 7)
    assert torch.equal(first(x), all_of_them(x))
    assert SPPFCSPBlock(8, 6, kernel_sizes=(3, 7)).fuse_layers[0].conv.in_channels == 3 * 6
