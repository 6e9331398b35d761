"""RepVGG: a trained network and its deployed form."""

from __future__ import annotations

import torch
from torch import nn

from visuite.cv.backbones import RepVGG

THIN = {"num_blocks": (1, 2, 2, 1), "width_factor": (1, 1, 1, 2), "groups": 2, "se_cfg": {"ratio": 2, "divisor": 1}}


def test_deployed_network_gives_the_same() -> None:
    torch.manual_seed(0)
    net, x = RepVGG(THIN, base_channels=8, out_indices=(0, 3), frozen_stages=1), torch.randn(4, 3, 64, 64)
    for _ in range(3):
        net.train()(x)
    expected = net.eval()(x)
    net.switch_to_deploy()
    for one, other in zip(net(x), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    assert not any(parameter.requires_grad for parameter in net.stem.parameters())
    fresh = RepVGG(THIN, base_channels=8, out_indices=(0, 3), deploy=True).eval()
    fresh.load_state_dict(net.state_dict(), strict=True)
    torch.testing.assert_close(fresh(x)[-1], net(x)[-1])


def test_every_second_layer_is_in_groups() -> None:
    with torch.device("meta"):
        net = RepVGG("B1g4")
    groups = [block.groups for name in net.stages for block in getattr(net, name)]
    assert groups == [1, 4] * 13 + [1]
    assert net.stem.groups == 1
