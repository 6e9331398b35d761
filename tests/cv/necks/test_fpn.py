"""FPN against torchvision's, PAFPN against its paper's steps, and the levels of pyramids."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from visuite.cv.necks import FPN, PyramidLevels, enlarge, pyramid_levels, subsample_on
from visuite.engine.registry import MODELS

CHANNELS = (4, 8, 12)


def _maps(*sides: tuple[int, int], channels: tuple[int, ...] = CHANNELS) -> list[torch.Tensor]:
    return [torch.randn(2, count, *side) for count, side in zip(channels, sides, strict=True)]


def _copy(theirs: FeaturePyramidNetwork, ours: FPN) -> None:
    """Give torchvision's pyramid our weights."""
    convs = list(ours.fpn_convs)
    pairs = [(block[0], conv) for block, conv in zip(theirs.inner_blocks, ours.lateral_convs, strict=True)]
    pairs += [(block[0], conv) for block, conv in zip(theirs.layer_blocks, convs, strict=False)]
    if isinstance(theirs.extra_blocks, LastLevelP6P7):
        pairs += [(theirs.extra_blocks.p6, convs[-2]), (theirs.extra_blocks.p7, convs[-1])]
    for target, source in pairs:
        target.load_state_dict(source.conv.state_dict())


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ({"num_outs": 3}, None),
        ({"num_outs": 4}, LastLevelMaxPool()),
        ({"num_outs": 5, "add_extra_convs": "on_input", "relu_before_extra_convs": True}, LastLevelP6P7(12, 8)),
        ({"num_outs": 5, "add_extra_convs": "on_output", "relu_before_extra_convs": True}, LastLevelP6P7(8, 8)),
    ],
)
@pytest.mark.parametrize("sides", [((16, 24), (8, 12), (4, 6)), ((15, 21), (8, 11), (4, 6))])
def test_same_as_torchvision(arguments: dict[str, Any], extra: nn.Module | None, sides: Any) -> None:
    torch.manual_seed(0)
    ours = FPN(CHANNELS, 8, **arguments)
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs = FeaturePyramidNetwork(list(CHANNELS), 8, extra)
    _copy(theirs, ours)
    maps = _maps(*sides)
    expected = theirs({str(index): one for index, one in enumerate(maps)})
    for got, want in zip(ours(maps), expected.values(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_start_level_leaves_fine_maps_out() -> None:
    torch.manual_seed(0)
    whole, part = FPN(CHANNELS, 8, num_outs=2, start_level=1), FPN(CHANNELS[1:], 8, num_outs=2)
    part.load_state_dict(whole.state_dict())
    maps = _maps((16, 24), (8, 12), (4, 6))
    for got, want in zip(whole(maps), part(maps[1:]), strict=True):
        assert torch.equal(got, want)


def test_end_level_leaves_coarse_maps_out() -> None:
    torch.manual_seed(0)
    whole, part = FPN(CHANNELS, 8, num_outs=2, end_level=1), FPN(CHANNELS[:2], 8, num_outs=2)
    part.load_state_dict(whole.state_dict())
    maps = _maps((16, 24), (8, 12), (4, 6))
    for got, want in zip(whole(maps), part(maps[:2]), strict=True):
        assert torch.equal(got, want)


def test_maps_on_top_of_laterals() -> None:
    torch.manual_seed(0)
    neck = FPN(CHANNELS, 8, num_outs=5, add_extra_convs="on_lateral")
    maps = _maps((16, 24), (8, 12), (4, 6))
    top = neck.fpn_convs[3](neck.lateral_convs[2](maps[2]))
    *_, first, second = neck(maps)
    torch.testing.assert_close(first, top)
    torch.testing.assert_close(second, neck.fpn_convs[4](top))
    assert [tuple(one.shape[2:]) for one in (first, second)] == [(2, 3), (1, 2)]


def test_norms_and_activations_are_where_they_are_asked_for() -> None:
    gn = {"type": "GN", "num_groups": 2}
    neck = FPN(CHANNELS, 8, num_outs=3, norm_cfg=gn, act_cfg={"type": "ReLU"}, no_norm_on_lateral=True)
    assert not any("gn" in name for name in neck.lateral_convs.state_dict())
    assert all(f"{index}.gn.weight" in neck.fpn_convs.state_dict() for index in range(3))
    assert all((one >= 0).all() for one in neck(_maps((16, 24), (8, 12), (4, 6))))


def test_path_aggregation_is_what_its_paper_says() -> None:
    """N_2 = P_2 and N_(i+1) = conv(P_(i+1) + down(N_i)), before the last convolution (arXiv:1803.01534, figure 1)."""
    torch.manual_seed(0)
    neck: Any = MODELS.build(dict(type="PAFPN", in_channels=CHANNELS, out_channels=8, num_outs=4))
    plain = FPN(CHANNELS, 8, num_outs=3)
    plain.load_state_dict({k: v for k, v in neck.state_dict().items() if k.startswith(("lateral", "fpn"))})
    maps = _maps((16, 24), (8, 12), (4, 6))
    sums = [plain(maps)[0]]
    for index, one in enumerate(plain(maps)[1:]):
        down, conv = neck.downsample_convs[index].conv, neck.pafpn_convs[index].conv
        sums.append(one + F.conv2d(sums[-1], down.weight, down.bias, stride=2, padding=1))
        last = F.conv2d(sums[-1], conv.weight, conv.bias, padding=1)
        torch.testing.assert_close(neck(maps)[index + 1], last)
    torch.testing.assert_close(neck(maps)[0], sums[0])
    torch.testing.assert_close(neck(maps)[3], last[:, :, ::2, ::2])


def test_names_of_parameters() -> None:
    neck = MODELS.build(dict(type="PAFPN", in_channels=CHANNELS, out_channels=8, num_outs=4, add_extra_convs=True))
    names = {name.removesuffix(".conv.weight") for name in neck.state_dict() if name.endswith("weight")}
    convs = {"lateral_convs": 3, "fpn_convs": 4, "downsample_convs": 2, "pafpn_convs": 2}
    assert names == {f"{name}.{index}" for name, count in convs.items() for index in range(count)}


@pytest.mark.parametrize(
    ("arguments", "levels", "strides"),
    [
        ({"num_outs": 4}, PyramidLevels(0, 4, 0, None), (4, 8, 16, 32)),
        ({"num_outs": 5}, PyramidLevels(0, 4, 1, None), (4, 8, 16, 32, 64)),
        (
            {"num_outs": 5, "start_level": 1, "add_extra_convs": True},
            PyramidLevels(1, 4, 2, "on_input"),
            (8, 16, 32, 64, 128),
        ),
        ({"num_outs": 2, "end_level": 1}, PyramidLevels(0, 2, 0, None), (4, 8)),
        (
            {"num_outs": 4, "start_level": 1, "end_level": 3, "add_extra_convs": "on_output"},
            PyramidLevels(1, 4, 1, "on_output"),
            (8, 16, 32, 64),
        ),
    ],
)
def test_levels(arguments: dict[str, Any], levels: PyramidLevels, strides: tuple[int, ...]) -> None:
    found = pyramid_levels(4, **arguments)
    assert found == levels
    assert found.out_strides((4, 8, 16, 32)) == strides


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_outs": 3}, "levels 0 to 3 has at least 4 maps, not 3"),
        ({"num_outs": 3, "end_level": 1}, "levels 0 to 1 has exactly 2 maps, not 3"),
        ({"num_outs": 4, "start_level": 4}, "start_level 4"),
        ({"num_outs": 4, "end_level": 7}, "end_level 7"),
        ({"num_outs": 5, "add_extra_convs": "on_inputs"}, "did you mean 'on_input'"),
    ],
)
def test_levels_that_do_not_go_together(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pyramid_levels(4, **arguments)


def test_parts_of_pyramids() -> None:
    x, like = torch.randn(1, 2, 5, 7), torch.zeros(1, 3, 10, 13)
    for mode in ("nearest", "bilinear"):
        torch.testing.assert_close(enlarge(x, like, {"mode": mode}), F.interpolate(x, size=(10, 13), mode=mode))
    torch.testing.assert_close(enlarge(x, like, {"scale_factor": 2}), F.interpolate(x, size=(10, 13)))
    for got, want in zip(subsample_on(x, 2), (x[..., ::2, ::2], x[..., ::4, ::4]), strict=True):
        assert torch.equal(got, want)
    torch.testing.assert_close(subsample_on(x, 1)[0], F.max_pool2d(x, 1, stride=2))
