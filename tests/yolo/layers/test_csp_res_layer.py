"""The CSP layers of PP-YOLOE against the figure of its paper."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.cv.layers.live import live
from visuite.yolo.layers import CSPResLayer, PPYOLOEBasicBlock

ATTENTION = {"type": "EffectiveSELayer"}


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_block_is_a_convolution_and_two_branches(shortcut: bool) -> None:
    torch.manual_seed(0)
    block = live(PPYOLOEBasicBlock(6, 6, shortcut=shortcut))
    x = torch.randn(2, 6, 5, 4)
    inner = block.conv1(x)
    out = F.silu(block.conv2.rbr_dense(inner) + block.conv2.rbr_1x1(inner))
    torch.testing.assert_close(block(x), x + out if shortcut else out)
    assert not hasattr(block.conv2, "rbr_identity")


def test_a_shortcut_needs_the_same_channels() -> None:
    with pytest.raises(ValueError, match="keeps 6 channels, not 8"):
        PPYOLOEBasicBlock(6, 8)
    assert PPYOLOEBasicBlock(6, 8, shortcut=False)(torch.randn(1, 6, 4, 4)).shape == (1, 8, 4, 4)


def test_a_stage_halves_the_map_and_weighs_both_halves() -> None:
    torch.manual_seed(0)
    layer = live(CSPResLayer(8, 12, num_block=2, stride=2, attention_cfg=ATTENTION))
    x = torch.randn(2, 8, 7, 6)
    down = layer.conv_down(x)
    assert down.shape == (2, 10, 4, 3)
    blocks = layer.blocks[1](layer.blocks[0](layer.conv2(down)))
    halves = torch.cat((layer.conv1(down), blocks), 1)
    torch.testing.assert_close(layer(x), layer.conv3(layer.attn(halves)))
    assert layer.conv3.conv.weight.shape == (12, 10, 1, 1)


@pytest.mark.parametrize(
    ("num_block", "names"),
    [(1, ["0", "spp"]), (2, ["0", "spp", "1"]), (3, ["0", "1", "spp", "2"]), (4, ["0", "1", "spp", "2", "3"])],
)
def test_pooling_stands_behind_the_block_in_the_middle(num_block: int, names: list[str]) -> None:
    layer = live(CSPResLayer(8, 12, num_block=num_block, use_spp=True))
    assert list(dict(layer.blocks.named_children())) == names
    assert not hasattr(layer, "conv_down")
    x = torch.randn(2, 6, 15, 9)
    pooled = [F.max_pool2d(x, side, stride=1, padding=side // 2) for side in (5, 9, 13)]
    torch.testing.assert_close(layer.blocks.spp(x), layer.blocks.spp.conv2(torch.cat([x, *pooled], 1)))
    assert layer(torch.randn(2, 8, 5, 5)).shape == (2, 12, 5, 5)
