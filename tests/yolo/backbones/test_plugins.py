"""Layers plugged in behind the stages of a backbone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.cv.backbones.variants import Gate
from tests.yolo.backbones.variants import THIN
from visuite.yolo.backbones import YOLOv8CSPDarknet


def make(plugins: Any) -> YOLOv8CSPDarknet:
    return YOLOv8CSPDarknet(**THIN, plugins=plugins).eval()


def test_a_plugin_stands_last_in_its_stages() -> None:
    net = make([{"cfg": {"type": Gate}, "stages": (False, True, False, True)}])
    assert [type(getattr(net, f"stage{index}")[-1]) is Gate for index in range(1, 5)] == [False, True, False, True]
    assert net.stage4[-1].conv.in_channels == net.out_channels[-1]
    plain = make(None)
    plain.load_state_dict(net.state_dict(), strict=False)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        gated, bare = net(x), plain(x)
        torch.testing.assert_close(gated[1], bare[1])
        torch.testing.assert_close(gated[2], net.stage2[-1](bare[2]))


def test_one_plugin_may_come_without_a_list_and_goes_behind_all_stages() -> None:
    net = make({"cfg": {"type": Gate}})
    assert all(type(getattr(net, f"stage{index}")[-1]) is Gate for index in range(1, 5))


def test_too_few_stages_are_told() -> None:
    with pytest.raises(ValueError, match=r"\(True, False\) has fewer entries than the 4 stages"):
        make([{"cfg": {"type": Gate}, "stages": (True, False)}])
