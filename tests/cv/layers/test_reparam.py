"""RepVGG blocks and the convolution that they become."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.cv.layers.live import live
from visuite.cv.layers import RepVGGBlock, fold_norm, identity_kernel


@pytest.mark.parametrize("affine", [True, False])
def test_folded_norm_is_the_convolution_and_the_norm(affine: bool) -> None:
    conv, norm = nn.Conv2d(6, 4, 3, groups=2, bias=False), live(nn.BatchNorm2d(4, affine=True))
    if not affine:
        norm.weight = norm.bias = None
    kernel, bias = fold_norm(conv.weight, norm)
    x = torch.randn(2, 6, 7, 7)
    torch.testing.assert_close(F.conv2d(x, kernel, bias, groups=2), norm(conv(x)))


@pytest.mark.parametrize("norm", [nn.GroupNorm(1, 4), nn.BatchNorm2d(4, track_running_stats=False)])
def test_only_fixed_norms_fold(norm: nn.Module) -> None:
    with pytest.raises(TypeError, match="running statistics"):
        fold_norm(torch.zeros(4, 4, 1, 1), norm)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_identity_kernel(groups: int) -> None:
    x = torch.randn(2, 6, 3, 3)
    torch.testing.assert_close(F.conv2d(x, identity_kernel(6, groups, like=x), groups=groups), x)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stride": 2},
        {"out_channels": 12},
        {"groups": 2},
        {"dilation": 2, "padding": 2},
        {"se_cfg": {"ratio": 2, "divisor": 1}},
        {"norm_cfg": {"type": "BN", "eps": 0.1}},
    ],
)
def test_deployed_block_gives_the_same(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    block = live(RepVGGBlock(**{"in_channels": 8, "out_channels": 8, **arguments}))
    x = torch.randn(2, 8, 11, 10)
    expected = block(x)
    block.switch_to_deploy()
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    names = {name.split(".")[0] for name in block.state_dict()}
    assert names == {"branch_reparam"} | ({"se_layer"} if "se_cfg" in arguments else set())
    fresh = RepVGGBlock(**{"in_channels": 8, "out_channels": 8, **arguments}, deploy=True).eval()
    fresh.load_state_dict(block.state_dict())
    torch.testing.assert_close(fresh(x), block(x))
    block.switch_to_deploy()  # nothing more happens


def test_branches() -> None:
    assert hasattr(RepVGGBlock(4, 4), "branch_norm")
    assert not hasattr(RepVGGBlock(4, 8), "branch_norm")
    assert not hasattr(RepVGGBlock(4, 4, stride=2), "branch_norm")
    with pytest.raises(ValueError, match="padding 1, dilation 2"):
        RepVGGBlock(4, 4, dilation=2)
