"""Re-parameterised blocks: their branches, the convolution that they become, and the stages that they make."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.cv.layers.live import live
from visuite.cv.layers import switch_to_deploy
from visuite.engine.registry import MODELS
from visuite.yolo.layers import BepC3StageBlock, BottleRep, ConvWrapper, PPYOLOEBasicBlock, RepStageBlock, RepVGGBlock


def normed(x: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [6, 8])
def test_three_branches_are_normed_and_summed(channels: int, stride: int) -> None:
    torch.manual_seed(0)
    block = live(RepVGGBlock(8, channels, stride=stride, use_alpha=True))
    nn.init.constant_(block.alpha, 0.3)
    x = torch.randn(2, 8, 9, 7)
    dense, point = block.rbr_dense, block.rbr_1x1
    expected = normed(F.conv2d(x, dense.conv.weight, stride=stride, padding=1), dense.bn)
    expected = expected + 0.3 * normed(F.conv2d(x, point.conv.weight, stride=stride), point.bn)
    if channels == 8 and stride == 1:
        expected = expected + normed(x, block.rbr_identity)
    torch.testing.assert_close(block(x), expected.relu())
    assert hasattr(block, "rbr_identity") == (channels == 8 and stride == 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stride": 2},
        {"out_channels": 12},
        {"groups": 2},
        {"kernel_size": 5, "padding": 2},
        {"dilation": 2, "padding": 2},
        {"padding_mode": "reflect"},
        {"use_alpha": True},
        {"use_bn_first": False, "act_cfg": {"type": "SiLU"}},
        {"use_se": True},
        {"act_cfg": None},
    ],
)
def test_deployed_block_gives_the_same(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    block = live(RepVGGBlock(**{"in_channels": 8, "out_channels": 8, **arguments}))
    for parameter in block.parameters():
        if parameter.shape == (1,):
            nn.init.constant_(parameter, -0.7)
    x = torch.randn(2, 8, 11, 10)
    expected = block(x)
    block.switch_to_deploy()
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    assert {name.split(".")[0] for name in block.state_dict()} - {"se"} == {"rbr_reparam"}
    fresh = RepVGGBlock(**{"in_channels": 8, "out_channels": 8, **arguments}, deploy=True).eval()
    fresh.load_state_dict(block.state_dict())
    torch.testing.assert_close(fresh(x), block(x))
    block.switch_to_deploy()  # nothing more happens


@pytest.mark.parametrize("arguments", [{"padding": 0}, {"kernel_size": 4, "padding": 2}, {"dilation": 2}])
def test_branches_that_do_not_fit_are_told(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unlike maps"):
        RepVGGBlock(4, 4, **arguments)


def test_bottle_rep_adds_its_input_by_a_learned_part() -> None:
    torch.manual_seed(0)
    block = live(BottleRep(6, 6, adaptive_weight=True))
    nn.init.constant_(block.alpha, 0.25)
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(block(x), block.conv2(block.conv1(x)) + 0.25 * x)
    plain, wider = BottleRep(6, 6).eval(), BottleRep(6, 8, adaptive_weight=True).eval()
    torch.testing.assert_close(plain(x), plain.conv2(plain.conv1(x)) + x)
    torch.testing.assert_close(wider(x), wider.conv2(wider.conv1(x)))
    assert not any("alpha" in name for one in (plain, wider) for name in one.state_dict())


@pytest.mark.parametrize(("bottle_rep", "blocks"), [(False, 5), (True, 4)])
def test_a_stage_has_as_many_blocks_as_told_and_pairs_take_two(bottle_rep: bool, blocks: int) -> None:
    """A pair that would be left with one block is none."""
    stage = RepStageBlock(4, 8, num_blocks=5, bottle_rep=bottle_rep)
    assert sum(isinstance(part, RepVGGBlock) for part in stage.modules()) == blocks
    assert isinstance(stage.conv1, BottleRep) == bottle_rep
    assert stage(torch.randn(1, 4, 6, 6)).shape == (1, 8, 6, 6)


@pytest.mark.parametrize("concat_all", [True, False])
def test_bep_c3_mixes_blocks_and_what_is_beside_them(concat_all: bool) -> None:
    torch.manual_seed(0)
    stage = live(BepC3StageBlock(6, 12, num_blocks=4, hidden_ratio=2 / 3, concat_all=concat_all))
    x = torch.randn(2, 6, 5, 4)
    with torch.no_grad():
        out = stage.conv1(x)
        for pair in (stage.block.conv1, *stage.block.block):
            out = pair.conv2(pair.conv1(out)) + pair.alpha * out
        maps = [out, stage.conv2(x)] if concat_all else [out]
        torch.testing.assert_close(stage(x), stage.conv3(torch.cat(maps, 1)))
    assert stage.conv1.conv.weight.shape == (8, 6, 1, 1)


def test_conv_wrapper_keeps_its_bias_before_a_norm() -> None:
    """Published weights of YOLOv6-L have it."""
    block = ConvWrapper(4, 8, stride=2, norm_cfg={"type": "BN"})
    assert {"block.conv.weight", "block.conv.bias", "block.bn.weight"} <= set(block.state_dict())
    assert isinstance(block.block.activate, nn.SiLU)
    assert block(torch.randn(2, 4, 7, 8)).shape == (2, 8, 4, 4)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "YOLOv6EfficientRep", "widen_factor": 0.125},
        {"type": "YOLOv6CSPBep", "widen_factor": 0.125, "block_cfg": {"type": "RepVGGBlock"}, "use_cspsppf": True},
        {"type": "PPYOLOECSPResNet", "widen_factor": 0.125},
    ],
)
def test_a_deployed_backbone_gives_the_same(part: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = MODELS.build({**part, "type": f"yolo.{part['type']}", "deepen_factor": 0.33}).train().double()
    x = torch.rand(2, 3, 64, 96).double()  # in single precision, rounding grows from block to block
    for _ in range(3):  # so that statistics fit the maps
        net(x)
    net.eval()
    with torch.no_grad():
        expected = net(x)
        switch_to_deploy(net)
        for one, other in zip(net(x), expected, strict=True):
            torch.testing.assert_close(one, other)
    blocks = [part for part in net.modules() if isinstance(part, RepVGGBlock)]
    assert blocks
    assert not any("rbr_dense" in name or "rbr_1x1" in name for name in net.state_dict())


def test_gradients_reach_the_factor_of_the_small_branch() -> None:
    block = PPYOLOEBasicBlock(4, 4, use_alpha=True)
    block(torch.randn(2, 4, 6, 6)).square().sum().backward()
    assert block.conv2.alpha.grad is not None
    assert block.conv2.alpha.grad.abs() > 0
