"""Necks of segmentation, by hand and by their contracts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests import contracts
from visuite.seg.necks import JPU, ICNeck, MLANeck

BN = {"type": "BN"}


def joint() -> JPU:
    return JPU((4, 6, 8), 5, dilations=(1, 2), norm_cfg=BN)


def cascade() -> ICNeck:
    return ICNeck((4, 6, 8), 5, norm_cfg=BN)


def levels() -> MLANeck:
    return MLANeck([4, 6, 8], 5, norm_cfg=BN)


@pytest.mark.parametrize(
    ("make", "strides"),
    [(joint, (8, 16, 32)), (cascade, (8, 16, 32)), (levels, (16, 16, 16))],
    ids=lambda x: str(x)[:9],
)
def test_tells_its_maps(make: contracts.Make, strides: tuple[int, ...]) -> None:
    contracts.neck_tells_its_maps(make, strides)

    def behind() -> contracts.OnImages:
        torch.manual_seed(1)
        return contracts.OnImages(make(), strides)

    contracts.gradients_reach_every_parameter(behind, size=(64, 96))
    contracts.works_in_half_precision(behind)
    contracts.state_dict_round_trip(behind)


def test_joint_upsampling_by_hand() -> None:
    torch.manual_seed(0)
    neck = joint().eval()
    maps = [torch.randn(1, wide, side, side) for wide, side in ((4, 8), (6, 4), (8, 2))]
    convolved = [conv(x) for conv, x in zip(neck.conv_layers, maps, strict=True)]
    large = torch.cat([F.interpolate(x, size=(8, 8), mode="bilinear") for x in convolved], 1)
    expected = torch.cat([layer(large) for layer in neck.dilation_layers], 1)
    first, second, last = neck(maps)
    assert first is maps[0]
    assert second is maps[1]
    torch.testing.assert_close(last, expected)
    assert neck.dilation_layers[1].depthwise_conv.conv.dilation == (2, 2)
    assert not neck.dilation_layers[0].depthwise_conv.with_activation


def test_levels_of_the_pyramid() -> None:
    assert JPU((4, 6, 8, 10), 5, start_level=1, norm_cfg=BN).out_channels == (6, 8, 20)
    assert JPU((4, 6, 8, 10), 5, start_level=1, end_level=3, norm_cfg=BN).out_channels == (6, 20)
    with pytest.raises(ValueError, match="levels 2 to 2 are not among 3 maps"):
        JPU((4, 6, 8), 5, start_level=2, end_level=2)


def test_levels_are_added_from_the_last_to_the_first() -> None:
    torch.manual_seed(0)
    neck = levels().eval()
    maps = [torch.randn(1, wide, 3, 4) for wide in (4, 6, 8)]
    normal = [F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), eps=1e-6).permute(0, 3, 1, 2) for x in maps]
    one, two, three = (conv(x) for conv, x in zip(neck.mla.channel_proj, normal, strict=True))
    sums = (three, three + two, three + two + one)
    for found, conv, x in zip(neck(maps), neck.mla.feat_extract, sums, strict=True):
        torch.testing.assert_close(found, conv(x))


def test_cascade_by_hand() -> None:
    torch.manual_seed(0)
    neck = cascade().eval()
    fine, middle, coarse = (torch.randn(1, wide, side, side) for wide, side in ((4, 16), (6, 8), (8, 4)))
    low = neck.cff_24.conv_low(F.interpolate(coarse, size=(8, 8), mode="bilinear"))
    fused = (low + neck.cff_24.conv_high(middle)).relu()
    lower = neck.cff_12.conv_low(F.interpolate(fused, size=(16, 16), mode="bilinear"))
    expected = (low, lower, (lower + neck.cff_12.conv_high(fine)).relu())
    for found, one in zip(neck((fine, middle, coarse)), expected, strict=True):
        torch.testing.assert_close(found, one)
    with pytest.raises(ValueError, match="three maps, not 2"):
        ICNeck((4, 6), 5)
