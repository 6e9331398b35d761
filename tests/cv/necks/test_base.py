"""What is known of maps before there are any, and parts that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visuite.cv.backbones import ResNet
from visuite.cv.necks import FPN, ChannelMapper, GlobalAveragePooling, MapSpec, Neck, YOLOV3Neck, check_head, told_maps


def _backbone(*channels: int, **more: Any) -> nn.Module:
    backbone = nn.Identity()
    backbone.out_channels = channels
    for name, value in more.items():
        setattr(backbone, name, value)
    return backbone


def _head(in_channels: Any) -> nn.Module:
    head = nn.Identity()
    head.in_channels = in_channels
    return head


def test_maps_of_a_backbone_and_its_neck_are_the_ones_that_come() -> None:
    backbone = ResNet(18, base_channels=8).eval()
    neck = FPN((8, 16, 32, 64), 8, num_outs=5, start_level=1, add_extra_convs="on_output").eval()
    told = told_maps(backbone, neck)
    assert told == MapSpec((8,) * 5, (8, 16, 32, 64, 128))
    with torch.no_grad():
        maps = neck(backbone(torch.randn(1, 3, 256, 128)))
    assert [one.shape[1:] for one in maps] == [(8, 256 // s, 128 // s) for s in told.strides]
    assert told_maps(backbone) == MapSpec((8, 16, 32, 64), (4, 8, 16, 32))


def test_a_neck_for_other_maps_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"neck FPN is \(8, 16\), but Identity hands out maps of \(8, 32\)"):
        told_maps(_backbone(8, 32), FPN((8, 16), 4, num_outs=2))
    chain = nn.Sequential(FPN((8, 16), 4, num_outs=2), ChannelMapper((4, 8), 4))
    with pytest.raises(ValueError, match=r"neck ChannelMapper is \(4, 8\), but FPN hands out maps of \(4, 4\)"):
        told_maps(_backbone(8, 16), chain)


def test_necks_one_after_the_other() -> None:
    chain = nn.Sequential(FPN((8, 16), 4, num_outs=3), ChannelMapper((4, 4, 4), 6, num_outs=4))
    assert told_maps(_backbone(8, 16, out_strides=(4, 8)), chain) == MapSpec((6,) * 4, (4, 8, 16, 32))


def test_maps_the_other_way_round() -> None:
    neck = YOLOV3Neck(3, (32, 16, 8), out_channels=(16, 8, 4))
    assert told_maps(_backbone(8, 16, 32, out_strides=(8, 16, 32)), neck) == MapSpec((16, 8, 4), (32, 16, 8))


def test_who_does_not_tell_is_not_held_to_it() -> None:
    neck = FPN((8, 16), 4, num_outs=2)
    assert told_maps(nn.Identity()) is None
    assert told_maps(nn.Identity(), neck) == MapSpec((4, 4))
    assert told_maps(_backbone(8, 16), neck) == MapSpec((4, 4))
    assert told_maps(_backbone(8, 16, out_strides=(4, 8)), nn.Identity()) is None
    assert told_maps(_backbone(8, 16, out_strides=(4, 8)), GlobalAveragePooling()) == MapSpec((8, 16))
    with pytest.raises(NotImplementedError, match="Neck does not tell"):
        Neck().out_strides((4,))


@pytest.mark.parametrize("in_channels", [4, (4, 4), [4, 4]])
def test_head_that_fits(in_channels: Any) -> None:
    check_head(_head(in_channels), MapSpec((4, 4)))
    check_head(_head(in_channels), None)
    check_head(nn.Identity(), MapSpec((7,)))


@pytest.mark.parametrize("in_channels", [8, (4, 8), (4, 4, 4)])
def test_head_that_does_not_fit(in_channels: Any) -> None:
    with pytest.raises(ValueError, match=r"head Identity is .*, but it gets maps of \(4, 4\) channels"):
        check_head(_head(in_channels), MapSpec((4, 4)))
