"""The other necks against definitions of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.necks import (
    HRFPN,
    YOLOXPAFPN,
    ChannelMapper,
    Feature2Pyramid,
    L2Norm,
    MultiLevelNeck,
    SSDNeck,
    YOLOV3Neck,
)


def _maps(channels: tuple[int, ...], *sides: tuple[int, int]) -> list[torch.Tensor]:
    return [torch.randn(2, count, *side) for count, side in zip(channels, sides, strict=True)]


def _apply(conv: nn.Conv2d, x: torch.Tensor, **how: Any) -> torch.Tensor:
    return F.conv2d(x, conv.weight, conv.bias, **how)


PYRAMID = ((16, 24), (8, 12), (4, 6))


@pytest.mark.parametrize("pooling", ["AVG", "MAX"])
def test_hrfpn_mixes_all_branches_and_pools(pooling: str) -> None:
    torch.manual_seed(0)
    neck = HRFPN((2, 3, 4), 5, num_outs=3, pooling_type=pooling)
    maps = _maps((2, 3, 4), *PYRAMID)
    whole = [F.interpolate(x, scale_factor=2**i, mode="bilinear") if i else x for i, x in enumerate(maps)]
    mixed = _apply(neck.reduction_conv.conv, torch.cat(whole, 1))
    pool = F.avg_pool2d if pooling == "AVG" else F.max_pool2d
    for level, got in enumerate(neck(maps)):
        torch.testing.assert_close(got, _apply(neck.fpn_convs[level].conv, pool(mixed, 2**level), padding=1))


def test_hrfpn_of_maps_smaller_than_its_windows() -> None:
    sides = [tuple(one.shape[2:]) for one in HRFPN((2,), 4)(_maps((2,), (7, 9)))]
    assert sides == [(7, 9), (3, 4), (1, 2), (1, 1), (1, 1)]


def test_channel_mapper_convolves_on_from_the_coarsest_map() -> None:
    torch.manual_seed(0)
    neck = ChannelMapper((4, 8), 6, act_cfg=None, num_outs=4)
    maps = _maps((4, 8), *PYRAMID[:2])
    fine, coarse, first, second = neck(maps)
    torch.testing.assert_close(fine, _apply(neck.convs[0].conv, maps[0], padding=1))
    torch.testing.assert_close(coarse, _apply(neck.convs[1].conv, maps[1], padding=1))
    torch.testing.assert_close(first, _apply(neck.extra_convs[0].conv, maps[1], stride=2, padding=1))
    torch.testing.assert_close(second, _apply(neck.extra_convs[1].conv, first, stride=2, padding=1))
    assert not hasattr(ChannelMapper((4, 8), 6), "extra_convs")
    assert ChannelMapper((4,), 6, norm_cfg={"type": "BN"}, bias=True).convs[0].conv.bias is not None


@pytest.mark.parametrize("kind", ["YOLOXPAFPN", "CSPNeXtPAFPN"])
def test_csp_path_aggregation_is_the_figure(kind: str) -> None:
    """Down: reduce, enlarge, beside the finer map, CSP layer; up: shrink, beside the reduced map, CSP layer."""
    torch.manual_seed(0)
    options = {"use_cspnext_block": True, "out_kernel_size": 3} if kind == "CSPNeXtPAFPN" else {}
    neck = YOLOXPAFPN((4, 8, 12), 6, num_csp_blocks=1, **options).eval()
    fine, middle, coarse = _maps((4, 8, 12), *PYRAMID)
    double = nn.Upsample(scale_factor=2)
    top = neck.reduce_layers[0](coarse)
    inner = neck.reduce_layers[1](neck.top_down_blocks[0](torch.cat((double(top), middle), 1)))
    one = neck.top_down_blocks[1](torch.cat((double(inner), fine), 1))
    two = neck.bottom_up_blocks[0](torch.cat((neck.downsamples[0](one), inner), 1))
    three = neck.bottom_up_blocks[1](torch.cat((neck.downsamples[1](two), top), 1))
    for got, conv, inside in zip(neck((fine, middle, coarse)), neck.out_convs, (one, two, three), strict=True):
        torch.testing.assert_close(got, conv(inside))
    assert {conv.conv.kernel_size for conv in neck.out_convs} == {(3, 3) if options else (1, 1)}


def test_l2_norm_makes_vectors_of_one_length() -> None:
    torch.manual_seed(0)
    norm, x = L2Norm(6, 20.0), torch.randn(2, 6, 3, 4)
    want = torch.stack([20 * x[:, :, i, j] / x[:, :, i, j].square().sum(1, keepdim=True).sqrt()
                        for i in range(3) for j in range(4)], dim=-1)  # fmt: skip
    torch.testing.assert_close(norm(x), want.view(2, 6, 3, 4))
    assert norm(torch.zeros(1, 6, 1, 1, dtype=torch.bfloat16)).eq(0).all()
    nn.init.uniform_(norm.weight)
    torch.testing.assert_close(norm(x), want.view(2, 6, 3, 4) / 20 * norm.weight.view(1, -1, 1, 1))


SSD300 = {"level_strides": (2, 2, 1, 1), "level_paddings": (1, 1, 0, 0)}
SSD512 = {"level_strides": (2, 2, 2, 2, 1), "level_paddings": (1, 1, 1, 1, 1), "last_kernel_size": 4}


@pytest.mark.parametrize(("settings", "sides"), [(SSD300, (38, 19, 10, 5, 3, 1)), (SSD512, (64, 32, 16, 8, 4, 2, 1))])
def test_sides_of_ssd_are_those_of_the_paper(settings: dict[str, Any], sides: tuple[int, ...]) -> None:
    neck = SSDNeck((8, 16), (8, 16, *(8,) * (len(sides) - 2)), **settings)
    maps = neck(_maps((8, 16), (sides[0],) * 2, (sides[1],) * 2))
    assert tuple(one.shape[-1] for one in maps) == sides
    assert all(one.shape[-1] == one.shape[-2] for one in maps)


def test_ssd_norms_the_first_map_alone_and_goes_on_from_the_last() -> None:
    torch.manual_seed(0)
    neck = SSDNeck((8, 16), (8, 16, 12), level_strides=(2,), level_paddings=(1,))
    maps = _maps((8, 16), (8, 8), (4, 4))
    first, second, third = neck(maps)
    torch.testing.assert_close(first, 20 * F.normalize(maps[0], dim=1))
    assert torch.equal(second, maps[1])
    narrow = _apply(neck.extra_layers[0][0].conv, maps[1]).relu()
    assert narrow.shape[1] == 6
    torch.testing.assert_close(third, _apply(neck.extra_layers[0][1].conv, narrow, stride=2, padding=1).relu())
    plain = SSDNeck((8, 16), (8, 16), level_strides=(), level_paddings=(), l2_norm_scale=None)
    assert torch.equal(plain(maps)[0], maps[0])


def test_multilevel_neck_resizes_between_its_convolutions() -> None:
    torch.manual_seed(0)
    neck = MultiLevelNeck((4, 4), 6, scales=(0.5, 2))
    maps = _maps((4, 4), (8, 12), (8, 12))
    for got, x, scale, lateral, conv in zip(neck(maps), maps, neck.scales, neck.lateral_convs, neck.convs, strict=True):
        side = F.interpolate(_apply(lateral.conv, x), scale_factor=scale, mode="bilinear")
        torch.testing.assert_close(got, _apply(conv.conv, side, padding=1))
    alone = MultiLevelNeck((4,), 6)
    assert [tuple(one.shape[2:]) for one in alone(maps[:1])] == [(4, 6), (8, 12), (16, 24), (32, 48)]


def test_feature2pyramid_and_its_names() -> None:
    torch.manual_seed(0)
    neck = Feature2Pyramid(4, norm_cfg={"type": "BN"}).eval()
    x = torch.randn(2, 4, 6, 8)
    names = {name.rpartition(".")[0] for name in neck.state_dict()}
    assert names == {"upsample_4x.0", "upsample_4x.1", "upsample_4x.3", "upsample_2x.0"}
    fourfold, double, same, half = neck([x] * 4)
    first, norm, _, second = neck.upsample_4x
    inside = F.gelu(norm(F.conv_transpose2d(x, first.weight, first.bias, stride=2)))
    torch.testing.assert_close(fourfold, F.conv_transpose2d(inside, second.weight, second.bias, stride=2))
    own = neck.upsample_2x[0]
    torch.testing.assert_close(double, F.conv_transpose2d(x, own.weight, own.bias, stride=2))
    assert torch.equal(same, x)
    assert torch.equal(half, x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2)))
    assert neck.out_strides((16,) * 4) == (4, 8, 16, 32)


def test_yolov3_goes_from_coarse_to_fine() -> None:
    torch.manual_seed(0)
    neck = YOLOV3Neck(2, (12, 8), out_channels=(6, 4)).eval()
    fine, coarse = _maps((8, 12), *PYRAMID[:2])
    first, second = neck((fine, coarse))
    torch.testing.assert_close(first, neck.detect1(coarse))
    beside = torch.cat((neck.conv1(first).repeat_interleave(2, 2).repeat_interleave(2, 3), fine), 1)
    torch.testing.assert_close(second, neck.detect2(beside))
    sizes = [conv.conv.kernel_size[0] for conv in neck.detect1]
    assert sizes == [1, 3, 1, 3, 1]
    assert [conv.out_channels for conv in neck.detect2] == [4, 8, 4, 8, 4]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HRFPN((4,), 4, pooling_type="MIN"), "'AVG' or 'MAX'"),
        (lambda: ChannelMapper((4, 4), 4, num_outs=1), "at least the 2 maps"),
        (lambda: SSDNeck((4, 8), (8, 8, 8), level_strides=(2,), level_paddings=(1,)), "begin with"),
        (lambda: SSDNeck((4, 8), (4, 8, 8), level_strides=(2, 2), level_paddings=(1,)), "adds 1 maps"),
        (lambda: MultiLevelNeck((4, 4), 4), "1 entry or 4, not 2"),
        (lambda: Feature2Pyramid(4, (3, 1)), "0.25"),
        (lambda: Feature2Pyramid(4, (2, 2)), "at most once"),
        (lambda: YOLOV3Neck(3, (4, 4), out_channels=(4, 4)), "3 scales"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
