"""What backbones promise, and what is special about those of segmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests import contracts
from tests.seg.variants import BACKBONES, DILATED, THIN_RESNET
from visuite.engine.registry import MODELS
from visuite.seg.backbones import BiSeNetV1, BiSeNetV2, CGNet, FastSCNN, ICNet, STDCContextPathNet, STDCNet, UNet
from visuite.seg.backbones.bisenet_v2 import BGALayer
from visuite.seg.backbones.cgnet import ContextGuidedBlock
from visuite.seg.backbones.erfnet import NonBottleneck1d
from visuite.seg.backbones.mscan import MSCAAttention
from visuite.seg.backbones.pidnet import Bag, LightBag, PagFM
from visuite.seg.backbones.stdc import STDCModule
from visuite.seg.layers import ConvOptions

NORM = ConvOptions(norm_cfg={"type": "BN"})
OWN = {name: one for name, one in BACKBONES.items() if name != "fastfcn"}
each = pytest.mark.parametrize("name", OWN)
#: Those whose maps are not of the image's size divided by the stride and rounded up: ICNet pools with a rest and halves
#: without one, ERFNet's decoder doubles what was rounded up.
ROUNDED = ("icnet", "erfnet")


def maker(name: str) -> Callable[..., Any]:
    cfg = {**OWN[name].backbone, "_scope_": "seg"}

    def make(**changes: Any) -> Any:
        return MODELS.build({**cfg, **changes})

    return make


@each
def test_tells_its_maps(name: str) -> None:
    if name not in ROUNDED:
        contracts.takes_odd_sizes(maker(name), ((64, 128), (97, 65)))
    model = maker(name)().eval()
    for size in ((64, 128), (97, 65)):
        maps = model(torch.randn(2, 3, *size))
        assert tuple(one.shape[1] for one in maps) == model.out_channels


@each
def test_works_in_half_precision(name: str) -> None:
    contracts.works_in_half_precision(maker(name), tolerance=0.2)


@pytest.mark.parametrize("name", ["unet", "cgnet"])
def test_keeps_statistics_and_recomputes(name: str) -> None:
    contracts.norm_eval_holds(lambda: maker(name)(norm_eval=True))
    contracts.checkpointing_changes_nothing(maker(name))


@each
def test_learns_from_its_checkpoint_or_from_scratch(name: str) -> None:
    with pytest.raises(ValueError, match="pretrained and init_cfg"):
        maker(name)(pretrained="a.pth", init_cfg={"type": "Pretrained", "checkpoint": "b.pth"})


def test_unet_puts_the_sizes_together_again() -> None:
    torch.manual_seed(0)
    model = UNet(base_channels=2, num_stages=3, strides=(1, 1, 1), enc_num_convs=(1, 1, 1), dec_num_convs=(1, 1),
                 downsamples=(True, True), enc_dilations=(1, 1, 1), dec_dilations=(1, 1)).eval()  # fmt: skip
    x = torch.randn(1, 3, 8, 12)
    first = model.encoder[0](x)
    second = model.encoder[1][1](F.max_pool2d(first, 2))
    third = model.encoder[2][1](F.max_pool2d(second, 2))
    middle = model.decoder[1].conv_block(torch.cat([second, model.decoder[1].upsample(third)], 1))
    fine = model.decoder[0].conv_block(torch.cat([first, model.decoder[0].upsample(middle)], 1))
    for found, expected in zip(model(x), (third, middle, fine), strict=True):
        torch.testing.assert_close(found, expected)


def test_unet_by_strides_and_without_halving() -> None:
    lists: dict[str, Any] = {"enc_num_convs": (1, 1, 1), "dec_num_convs": (1, 1), "enc_dilations": (1, 1, 2)}
    lists |= {"dec_dilations": (1, 1), "num_stages": 3, "base_channels": 2}
    model = UNet(strides=(1, 2, 1), downsamples=(True, False), **lists)
    assert model.out_strides == (2, 2, 1)
    assert [tuple(one.shape[2:]) for one in model(torch.randn(1, 3, 8, 8))] == [(4, 4), (4, 4), (8, 8)]
    with pytest.raises(ValueError, match="strides of a UNet of 3 stages has 3 entries, not 2"):
        UNet(strides=(1, 2), downsamples=(True, False), **lists)
    with pytest.raises(ValueError, match="plugins are None"):
        UNet(dcn={"type": "DCN"})


@pytest.mark.parametrize("fusion", ["add", "cat"])
@pytest.mark.parametrize("stride", [1, 2])
def test_dense_concatenation_by_hand(fusion: str, stride: int) -> None:
    torch.manual_seed(0)
    channels = 4 if stride == 2 else 16
    module = STDCModule(channels, 16, stride=stride, fusion_type=fusion, options=NORM).eval()
    x = torch.randn(1, channels, 8, 8)
    first, *others = module.layers
    start = first(x)
    out = module.downsample(start) if stride == 2 and fusion == "cat" else start
    maps = [F.avg_pool2d(start, 3, 2, 1) if stride == 2 and fusion == "cat" else start]
    for layer in others:
        out = layer(out)
        maps.append(out)
    assert [one.shape[1] for one in maps] == [8, 4, 2, 2]
    expected = torch.cat(maps, 1)
    if fusion == "add":
        expected = expected + (module.skip(x) if stride == 2 else x)
    torch.testing.assert_close(module(x), expected)


def test_stdc_refines_from_coarse_to_fine() -> None:
    torch.manual_seed(0)
    model = maker("stdc")().eval()
    x = torch.randn(1, 3, 64, 64)
    eighth, sixteenth, last = model.backbone(x)
    top = F.interpolate(model.conv_avg(F.adaptive_avg_pool2d(last, 1)), size=last.shape[2:])
    one = model.convs[0](F.interpolate(model.arms[0](last) + top, size=sixteenth.shape[2:]))
    other = model.convs[1](F.interpolate(model.arms[1](sixteenth) + one, size=eighth.shape[2:]))
    for found, expected in zip(model(x), (eighth, one, other, model.ffm(eighth, other)), strict=True):
        torch.testing.assert_close(found, expected)


def test_final_convolution_of_stdc() -> None:
    cfg = {**OWN["stdc"].backbone["backbone_cfg"], "with_final_conv": True, "_scope_": "seg"}
    model: STDCNet = MODELS.build(cfg)
    assert model.out_channels == (16, 32, 1024)
    assert model(torch.randn(2, 3, 64, 64))[-1].shape == (2, 1024, 2, 2)


def test_strips_by_hand() -> None:
    attention = MSCAAttention(2, (3, (1, 5)), (1, (0, 2)))
    x = torch.randn(1, 2, 6, 7)
    near = F.conv2d(x, attention.conv0.weight, attention.conv0.bias, padding=1, groups=2)
    row = F.conv2d(near, attention.conv0_1.weight, attention.conv0_1.bias, padding=(0, 2), groups=2)
    strip = F.conv2d(row, attention.conv0_2.weight, attention.conv0_2.bias, padding=(2, 0), groups=2)
    assert attention.conv0_2.weight.shape == (2, 1, 5, 1)
    torch.testing.assert_close(attention(x), attention.conv3(near + strip) * x)


def test_blocks_of_pidnet_by_their_formulas() -> None:
    torch.manual_seed(0)
    detail, context, edges = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 4, 4), torch.randn(1, 4, 8, 8)
    pag = PagFM(4, 2, options=NORM).eval()
    wide = F.interpolate(context, size=(8, 8), mode="bilinear")
    alike = (pag.f_p(detail) * F.interpolate(pag.f_i(context), size=(8, 8), mode="bilinear")).sum(1, keepdim=True)
    share = alike.sigmoid()
    torch.testing.assert_close(pag(detail, context), share * wide + (1 - share) * detail)
    near = edges.sigmoid()
    bag = Bag(4, 4, options=NORM).eval()
    torch.testing.assert_close(bag(detail, wide, edges), bag.conv(near * detail + (1 - near) * wide))
    light = LightBag(4, 4, options=NORM).eval()
    expected = light.f_p((1 - near) * wide + detail) + light.f_i(wide + near * detail)
    torch.testing.assert_close(light(detail, wide, edges), expected)


@pytest.mark.parametrize("name", ["pidnet_small", "pidnet_large", "ddrnet"])
def test_more_maps_while_training(name: str) -> None:
    model, x = maker(name)(), torch.randn(2, 3, 64, 64)
    maps = model.train()(x)
    assert len(maps) == (2 if name == "ddrnet" else 3)
    assert [one.shape[1] for one in maps] == ([16, 32] if name == "ddrnet" else [16, 32, 16])
    assert [tuple(one.shape[2:]) for one in maps] == [(8, 8)] * len(maps)
    assert len(model.eval()(x)) == 1


def test_guided_aggregation_by_the_formula() -> None:
    torch.manual_seed(0)
    layer = BGALayer(4, options=NORM, align_corners=False).eval()
    detail, semantic = torch.randn(1, 4, 16, 24), torch.randn(1, 4, 4, 6)
    gate = F.interpolate(layer.semantic_conv(semantic), size=(16, 24), mode="bilinear").sigmoid()
    coarse = layer.detail_down(detail) * layer.semantic_dwconv(semantic).sigmoid()
    expected = layer.conv(layer.detail_dwconv(detail) * gate + F.interpolate(coarse, size=(16, 24), mode="bilinear"))
    torch.testing.assert_close(layer(detail, semantic), expected)


def test_guided_blocks() -> None:
    torch.manual_seed(0)
    block = ContextGuidedBlock(8, 8, dilation=2, reduction=2, downsample=False, options=NORM).eval()
    x = torch.randn(1, 8, 5, 5)
    inside = block.conv1x1(x)
    joined = block.activate(block.bn(torch.cat([block.f_loc(inside), block.f_sur(inside)], 1)))
    weight = block.f_glo.fc(F.adaptive_avg_pool2d(joined, 1).flatten(1))
    torch.testing.assert_close(block(x), x + joined * weight[..., None, None])
    with pytest.raises(ValueError, match="num_blocks of CGNet has 2 entries, not 1"):
        CGNet(num_blocks=(3,))


def test_factorised_convolutions_share_one_activation() -> None:
    block = NonBottleneck1d(4, drop_rate=0.0, dilation=2, options=NORM).eval()
    assert [type(layer).__name__ for layer in block.convs_layers] == [
        "Conv2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "ReLU", "Conv2d", "BatchNorm2d", "Dropout",
    ]  # fmt: skip
    assert block.convs_layers[5].dilation == (2, 1)
    assert block(torch.randn(1, 4, 7, 9)).shape == (1, 4, 7, 9)
    with pytest.raises(ValueError, match="conv_cfg is None"):
        maker("erfnet")(conv_cfg={"type": "Conv2d"})
    with pytest.raises(ValueError, match="enc_stage_non_bottlenecks of ERFNet has 2 entries, not 3"):
        maker("erfnet")(enc_stage_non_bottlenecks=(1, 2, 3))


def test_image_cascade_sees_smaller_and_smaller_images() -> None:
    torch.manual_seed(0)
    model: ICNet = maker("icnet")().eval()
    x = torch.randn(1, 3, 64, 96)
    fine, middle, coarse = model(x)
    torch.testing.assert_close(fine, model.conv_sub1(x))
    half = F.interpolate(x, scale_factor=0.5, mode="bilinear")
    part = model.backbone
    seen = part.layer2(part.layer1(F.max_pool2d(part.stem(half), 3, 2, 1, ceil_mode=True)))
    torch.testing.assert_close(middle, model.conv_sub2(seen))
    quarter = part.layer4(part.layer3(F.interpolate(seen, scale_factor=0.5, mode="bilinear")))
    assert coarse.shape[2:] == quarter.shape[2:]


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        (ICNet, {"backbone_cfg": {"type": "VGG", "depth": 11}}, TypeError, "is a ResNet, not a VGG"),
        (ICNet, {"backbone_cfg": {**THIN_RESNET, **DILATED}}, ValueError, r"stages have \(16, 64\)"),
        (BiSeNetV1, {"backbone_cfg": THIN_RESNET}, ValueError, r"last maps have \(32, 64\) channels"),
        (BiSeNetV2, {"bga_channels": 64}, ValueError, r"end alike, not in \[64, 128\]"),
        (FastSCNN, {"higher_in_channels": 32}, ValueError, "global_in_channels 64 and higher_in_channels 32"),
        (FastSCNN, {"lower_in_channels": 32}, ValueError, "global_out_channels 128 and lower_in_channels 32"),
        (STDCContextPathNet, {"last_in_channels": (8, 8)}, ValueError, r"last maps have \(64, 32\)"),
        (STDCContextPathNet, {"ffm_cfg": {"in_channels": 9, "out_channels": 8}}, ValueError, "16 and 8 are fused"),
    ],
)
def test_channels_that_do_not_fit(kind: Any, arguments: dict[str, Any], error: type, message: str) -> None:
    base = {**OWN["stdc"].backbone} if kind is STDCContextPathNet else {}
    with pytest.raises(error, match=message):
        MODELS.build({**base, "type": kind, "_scope_": "seg", **arguments})
