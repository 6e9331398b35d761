"""Parts that heads share, against plain definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import build_upsample_layer
from visuite.seg.layers import (
    DAPPM,
    PAPPM,
    PPM,
    BasicBlock,
    Bottleneck,
    CellPooling,
    ConvOptions,
    DeconvModule,
    InterpConv,
    SelfAttentionBlock,
    Upsample,
    make_layer,
    resize,
    resize_concat,
)

NORM = ConvOptions(norm_cfg={"type": "BN"})


@pytest.mark.parametrize("align_corners", [False, True, None])
def test_resize(align_corners: bool | None) -> None:
    x = torch.randn(1, 2, 4, 5)
    expected = F.interpolate(x, size=(7, 3), mode="bilinear", align_corners=align_corners)
    assert torch.equal(resize(x, (7, 3), align_corners=align_corners), expected)
    assert torch.equal(resize(x, (7, 3), mode="nearest", align_corners=align_corners), F.interpolate(x, size=(7, 3)))
    doubled = F.interpolate(x, size=(8, 10), mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(Upsample(2, align_corners=align_corners)(x), doubled)


def test_maps_side_by_side() -> None:
    small, large = torch.ones(1, 1, 2, 2), torch.zeros(1, 2, 4, 6)
    assert resize_concat([large, small])[0, :, 3, 5].tolist() == [0, 0, 1]
    assert resize_concat([small, large]).shape == (1, 3, 2, 2)


@pytest.mark.parametrize("cells", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(6, 12), (5, 7), (2, 3), (1, 1), (13, 64)])
def test_cells_are_those_of_adaptive_pooling(cells: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(CellPooling(cells)(x), F.adaptive_avg_pool2d(x, cells))


def test_pyramid_pooling() -> None:
    torch.manual_seed(0)
    ppm = PPM((1, 2, 3), 4, 5, options=NORM, align_corners=True).eval()
    x = torch.randn(2, 4, 9, 7)
    for level, scale, found in zip(ppm, (1, 2, 3), ppm(x), strict=True):
        pooled = F.conv2d(F.adaptive_avg_pool2d(x, scale), level[1].conv.weight)
        expected = F.interpolate(F.relu(level[1].bn(pooled)), size=(9, 7), mode="bilinear", align_corners=True)
        torch.testing.assert_close(found, expected)
    assert "0.1.conv.weight" in ppm.state_dict()


@pytest.mark.parametrize("matmul_norm", [False, True])
def test_attention_between_maps_by_loops(matmul_norm: bool) -> None:
    torch.manual_seed(0)
    block = SelfAttentionBlock(
        3,
        4,
        channels=2,
        out_channels=5,
        key_query_norm=False,
        value_out_norm=False,
        matmul_norm=matmul_norm,
        options=NORM,
    )
    asking, asked = torch.randn(1, 4, 2, 3), torch.randn(1, 3, 3, 2)
    found = block(asking, asked)
    query, key, value = block.query_project(asking), block.key_project(asked), block.value_project(asked)
    expected = torch.zeros(1, 2, 2, 3)
    for y in range(2):
        for x in range(3):
            alike = torch.stack([(query[0, :, y, x] * key[0, :, i, j]).sum() for i in range(3) for j in range(2)])
            share = (alike * (2**-0.5 if matmul_norm else 1)).softmax(0)
            expected[0, :, y, x] = sum(w * value[0, :, n // 2, n % 2] for n, w in enumerate(share))
    torch.testing.assert_close(found, block.out_project(expected))


def test_a_shared_projection_stands_in_state_dicts_twice() -> None:
    block = SelfAttentionBlock(4, 4, channels=2, out_channels=4, share_key_query=True, options=NORM)
    assert block.query_project is block.key_project
    assert {"query_project.conv.weight", "key_project.conv.weight"} <= set(block.state_dict())
    with pytest.raises(ValueError, match="queries of 3 and keys of 4 channels"):
        SelfAttentionBlock(4, 3, channels=2, out_channels=4, share_key_query=True, options=NORM)


def test_enlarging_convolutions() -> None:
    x = torch.randn(1, 4, 5, 6)
    interp = build_upsample_layer(
        {"type": "seg.InterpConv"}, in_channels=4, out_channels=3, norm_cfg=None, act_cfg=None
    )
    assert isinstance(interp, InterpConv)
    large = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(interp(x), interp.interp_upsample[1](large))
    first = InterpConv(4, 3, conv_first=True)
    assert first(x).shape == (1, 3, 10, 12)
    assert "interp_upsample.0.conv.weight" in first.state_dict()
    assert DeconvModule(4, 3)(x).shape == (1, 3, 10, 12)
    assert DeconvModule(4, 3, kernel_size=3, scale_factor=3)(x).shape == (1, 3, 15, 18)
    with pytest.raises(ValueError, match="kernel_size 3 does not fit scale_factor 2"):
        DeconvModule(4, 3, kernel_size=3)


def test_residual_layers() -> None:
    def acts(layer: nn.Sequential) -> list[bool]:
        return [not isinstance(block.act, nn.Identity) for block in layer]

    basic = make_layer(BasicBlock, 4, 6, 3, stride=2, options=NORM)
    assert acts(basic) == [True, True, False]
    assert basic(torch.randn(2, 4, 7, 9)).shape == (2, 6, 4, 5)
    assert basic[0].downsample is not None
    assert basic[1].downsample is None
    assert acts(make_layer(Bottleneck, 4, 4, 1, options=NORM)) == [False]
    assert acts(make_layer(Bottleneck, 4, 4, 3, options=NORM)) == [False, True, False]
    block = basic[1].eval()
    x = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(block(x), F.relu(block.conv2(block.conv1(x)) + x))


@pytest.mark.parametrize("kind", [DAPPM, PAPPM])
def test_pooled_maps_by_the_formulas(kind: type[DAPPM]) -> None:
    torch.manual_seed(0)
    module = kind(4, 3, out_channels=5, num_scales=4).eval()
    x = torch.randn(2, 4, 20, 24)
    pooled = [F.avg_pool2d(x, 5, 2, 2), F.avg_pool2d(x, 9, 4, 4), F.adaptive_avg_pool2d(x, 1)]
    scales = [module.scales[0](x)]
    small = [scale[1](one) for scale, one in zip(module.scales[1:], pooled, strict=True)]
    wide = [F.interpolate(one, size=(20, 24), mode="bilinear") for one in small]
    if kind is PAPPM:
        together = torch.cat([one + scales[0] for one in wide], 1)
        maps = [scales[0], module.processes(together)]
    else:
        maps = scales
        for process, one in zip(module.processes, wide, strict=True):
            maps.append(process(one + maps[-1]))
    torch.testing.assert_close(module(x), module.compression(torch.cat(maps, 1)) + module.shortcut(x))
    with pytest.raises(ValueError, match="num_scales is 2 to 5, not 6"):
        kind(4, 3, out_channels=5, num_scales=6)
