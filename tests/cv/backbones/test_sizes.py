"""Sizes of every architecture, against torchvision's and timm's models.

That these give the same features, too, is held in tests/cv/checkpoints/test_public_models.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.regnet import BlockParams

from visuite.cv.backbones import (
    VGG,
    ConvNeXt,
    DenseNet,
    EfficientNet,
    HRNet,
    MobileNetV2,
    MobileNetV3,
    RegNet,
    RepVGG,
    Res2Net,
    ResNeSt,
    ResNet,
    ShuffleNetV2,
)
from visuite.cv.backbones.regnet import fit_groups, stage_shapes
from visuite.engine.registry import MODELS

Make = Callable[[], nn.Module]


def _shapes(make: Make, without: tuple[str, ...] = ()) -> Counter[tuple[int, ...]]:
    with torch.device("meta"):
        net = make()
    return Counter(tuple(v.shape) for name, v in net.state_dict().items() if not name.startswith(without) and v.ndim)


def _ours(kind: Callable[..., nn.Module], **arguments: Any) -> Make:
    return lambda: kind(**arguments)


def _built(name: str, **arguments: Any) -> Make:
    return lambda: MODELS.build({"type": name, **arguments})


TORCHVISION: dict[str, Make] = {
    "resnext50_32x4d": _ours(ResNet, depth=50, groups=32, width_per_group=4),
    "resnext101_32x8d": _ours(ResNet, depth=101, groups=32, base_width=8),
    "resnext101_64x4d": _ours(ResNet, depth=101, groups=64, width_per_group=4),
    "vgg11": _ours(VGG, depth=11, num_classes=1000),
    "vgg13": _ours(VGG, depth=13, num_classes=1000),
    "vgg19_bn": _ours(VGG, depth=19, norm_cfg={"type": "BN"}, num_classes=1000),
    "mobilenet_v2": _ours(MobileNetV2),
    "mobilenet_v3_small": _ours(MobileNetV3, arch="small"),
    "mobilenet_v3_large": _ours(MobileNetV3, arch="large"),
    **{
        f"shufflenet_v2_x{str(width).replace('.', '_')}": _ours(ShuffleNetV2, widen_factor=width)
        for width in (0.5, 1.0, 1.5, 2.0)
    },
    **{f"efficientnet_b{n}": _ours(EfficientNet, arch=f"b{n}") for n in range(8)},
    **{f"densenet{n}": _ours(DenseNet, arch=str(n)) for n in (121, 161, 169, 201)},
    **{f"convnext_{size}": _ours(ConvNeXt, arch=size) for size in ("tiny", "small", "base", "large")},
}  # fmt: skip


@pytest.mark.parametrize("name", TORCHVISION)
def test_sizes_of_torchvision(name: str) -> None:
    classifier: tuple[str, ...] = () if name.startswith("vgg") else ("classifier", "fc.")
    if name.startswith("convnext"):
        classifier = ("classifier.2",)  # its first layer is ours' last norm
    theirs = _shapes(lambda: torchvision.models.get_model(name), classifier)
    ours = _shapes(TORCHVISION[name])
    # They keep the layer scale as a map of one pixel.
    assert _numels(ours - theirs) == _numels(theirs - ours)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("regnetx_400mf", {"depth": 22, "w_0": 24, "w_a": 24.48, "w_m": 2.54, "group_width": 16}),
        ("regnetx_800mf", {"depth": 16, "w_0": 56, "w_a": 35.73, "w_m": 2.28, "group_width": 16}),
        ("regnetx_1.6gf", {"depth": 18, "w_0": 80, "w_a": 34.01, "w_m": 2.25, "group_width": 24}),
        ("regnetx_3.2gf", {"depth": 25, "w_0": 88, "w_a": 26.31, "w_m": 2.25, "group_width": 48}),
        ("regnetx_8.0gf", {"depth": 23, "w_0": 80, "w_a": 49.56, "w_m": 2.88, "group_width": 120}),
        ("regnetx_16gf", {"depth": 22, "w_0": 216, "w_a": 55.59, "w_m": 2.1, "group_width": 128}),
        ("regnetx_32gf", {"depth": 23, "w_0": 320, "w_a": 69.86, "w_m": 2.0, "group_width": 168}),
    ],
)
def test_stages_of_torchvision_regnets(name: str, theirs: dict[str, Any]) -> None:
    widths, depths, groups = stage_shapes(**RegNet.arch_settings[name])
    expected = BlockParams.from_init_params(**theirs)
    assert depths == expected.depths
    if name == "regnetx_400mf":  # they round 392 / 16 up, the paper's table does not
        assert widths.pop() == 384
        assert fit_groups(expected.widths, depths, 16) == (expected.widths, depths, [2, 4, 10, 25])
    assert widths == expected.widths[: len(widths)]
    sizes = [width // count for width, count in zip(widths, groups, strict=False)]
    assert sizes == expected.group_widths[: len(widths)]


def test_regnet_of_given_widths() -> None:
    arch = {"widths": (32, 64, 160, 400), "depths": (1, 1, 1, 1), "group_w": 16, "bot_mul": 1.0}
    net = RegNet(arch)
    assert net.out_channels == (32, 64, 160, 400)
    assert net.layer4[0].conv2.groups == 25


def _numels(shapes: Counter[tuple[int, ...]]) -> dict[int, int]:
    found: Counter[int] = Counter()
    for shape, count in shapes.items():
        found[torch.Size(shape).numel()] += count
    return found


TIMM: dict[str, Make] = {
    **{f"hrnet_w{n}": _ours(HRNet, arch=f"w{n}") for n in (18, 30, 32, 40, 44, 48, 64)},
    **{
        f"repvgg_{n.lower()}": _ours(RepVGG, arch=n)
        for n in ("A0", "A1", "A2", "B0", "B1", "B1g4", "B2", "B2g4", "B3", "B3g4", "D2se")
    },
    **{
        f"convnextv2_{n}": _ours(ConvNeXt, arch=n, use_grn=True, layer_scale_init_value=0.0)
        for n in ("atto", "femto", "pico", "nano", "tiny", "base", "huge")
    },
    "mobilenetv3_small_050": _ours(MobileNetV3, arch="small_050"),
    "mobilenetv3_small_075": _ours(MobileNetV3, arch="small_075"),
    "efficientnet_es": _ours(EfficientNet, arch="es"),
    "efficientnet_em": _ours(EfficientNet, arch="em"),
    "efficientnet_el": _ours(EfficientNet, arch="el"),
    "efficientnet_b8": _ours(EfficientNet, arch="b8"),
    "tf_efficientnet_l2": _ours(EfficientNet, arch="l2"),
    "regnetx_002": _ours(RegNet, arch="regnetx_200mf"),
    "regnetx_006": _ours(RegNet, arch="regnetx_600mf"),
    "regnetx_040": _ours(RegNet, arch="regnetx_4.0gf"),
    "regnetx_064": _ours(RegNet, arch="regnetx_6.4gf"),
    "regnetx_120": _ours(RegNet, arch="regnetx_12gf"),
    "seresnet50": _ours(ResNet, depth=50, se_ratio=16),
    "resnest101e": _ours(ResNeSt, depth=101, stem_channels=128),
    "resnest200e": _ours(ResNeSt, depth=200, stem_channels=128),
    "resnest269e": _ours(ResNeSt, depth=269, stem_channels=128),
    "res2net101_26w_4s": _ours(Res2Net, depth=101, deep_stem=False, avg_down=False),
    "wide_resnet50_2": _ours(ResNet, depth=50, base_channels=128, stem_channels=64, expansion=2),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_sizes_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    extra = ("classifier", "fc.", "head", "conv_head", "incre_modules", "downsamp_modules", "final_layer")
    theirs, ours = _shapes(lambda: timm.create_model(name, num_classes=0), extra), _shapes(TIMM[name])
    # Convolutions of kernel 1 and linear layers hold the same numbers, as do vectors and maps of one pixel.
    assert _numels(ours - theirs) == _numels(theirs - ours) or _only_tops(ours, theirs)


def _only_tops(ours: Counter[tuple[int, ...]], theirs: Counter[tuple[int, ...]]) -> bool:
    """Whether ours adds nothing but a last layer and its norm."""
    more = Counter(_numels(ours))
    more.subtract(_numels(theirs))
    return min(more.values()) >= 0 and sum(more.values()) <= 5
