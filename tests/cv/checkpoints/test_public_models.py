"""Weights of torchvision's and timm's models give here the features that they give there.

Their models have random weights and statistics, so that nothing is the same by accident.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from visuite.engine.model import load_state_dict
from visuite.engine.registry import MODELS

Maps = Tensor | list[Tensor] | tuple[Tensor, ...]
Features = Callable[[Any, Tensor], Maps]


@dataclass
class Case:
    """A public model and the backbone that is the same."""

    features: Features
    config: dict[str, Any]
    size: tuple[int, int] = (75, 64)
    arguments: dict[str, Any] = field(default_factory=dict)  # of their model


def _of(type: str, **arguments: Any) -> dict[str, Any]:
    return {"type": type, **arguments}


def _torchvision_resnet(model: Any, x: Tensor) -> list[Tensor]:
    x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    maps = []
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        x = stage(x)
        maps.append(x)
    return maps


def _torchvision_shufflenet(model: Any, x: Tensor) -> Tensor:
    return model.conv5(model.stage4(model.stage3(model.stage2(model.maxpool(model.conv1(x))))))


def _torchvision_vit(model: Any, x: Tensor) -> Tensor:
    model.heads = nn.Identity()
    return model(x)


def _features(model: Any, x: Tensor) -> Tensor:
    return model.features(x)


def _map(model: Any, x: Tensor) -> Tensor:
    return model.forward_features(x)


def _vector(model: Any, x: Tensor) -> Tensor:
    return model.forward_head(model.forward_features(x), pre_logits=True)


def _class_token(model: Any, x: Tensor) -> Tensor:
    return model.forward_features(x)[:, 0]


def _timm_twins(model: Any, x: Tensor) -> Tensor:
    for layer in model.modules():  # here all norms have one config; theirs differ in a hundred thousandth
        if isinstance(layer, nn.LayerNorm):
            layer.eps = 1e-6
    tokens = model.forward_features(x)  # (B, L, C)
    return tokens.mT.unflatten(2, (x.shape[2] // 32, x.shape[3] // 32))


def _timm_hrnet(model: Any, x: Tensor) -> list[Tensor]:
    return model.stages(model.act2(model.bn2(model.conv2(model.act1(model.bn1(model.conv1(x)))))))


def _timm_poolformer(model: Any, x: Tensor) -> Tensor:
    # timm norms the mean over the map, the authors and we norm the map.
    return F.group_norm(model.forward_features(x), 1, model.head.norm.weight, model.head.norm.bias)


BN = {"type": "BN"}
LAST = {"out_indices": (3,)}
PLAIN = {"conv_cfg": None, "norm_cfg": BN}  # EfficientNet has TensorFlow's padding and epsilon where nothing is said
SMALL = {"img_size": 64}
REGNET_400 = {"widths": (32, 64, 160, 400), "depths": (1, 2, 7, 12), "group_w": 16, "bot_mul": 1.0}

TWINS = {"arch": "small", "qkv_bias": True, "norm_cfg": {"type": "LN", "eps": 1e-6}, **LAST}
TWINS["norm_after_stage"] = (False, False, False, True)

TORCHVISION: dict[str, Case] = {
    "resnet18": Case(_torchvision_resnet, _of("ResNet", depth=18)),
    "resnet50": Case(_torchvision_resnet, _of("ResNet", depth=50)),
    "wide_resnet50_2": Case(
        _torchvision_resnet, _of("ResNet", depth=50, base_channels=128, stem_channels=64, expansion=2)
    ),
    "resnext50_32x4d": Case(_torchvision_resnet, _of("ResNeXt", depth=50)),
    "regnet_x_400mf": Case(lambda m, x: m.trunk_output(m.stem(x)), _of("RegNet", arch=REGNET_400, **LAST)),
    "vgg11": Case(_features, _of("VGG", depth=11), arguments={"init_weights": False}),
    "vgg16_bn": Case(_features, _of("VGG", depth=16, norm_cfg=BN), arguments={"init_weights": False}),
    "mobilenet_v2": Case(_features, _of("MobileNetV2", out_indices=7)),
    "mobilenet_v3_small": Case(_features, _of("MobileNetV3", arch="small")),
    "mobilenet_v3_large": Case(_features, _of("MobileNetV3", arch="large")),
    "shufflenet_v2_x1_0": Case(_torchvision_shufflenet, _of("ShuffleNetV2")),
    "efficientnet_b0": Case(_features, _of("EfficientNet", arch="b0", **PLAIN)),
    "densenet121": Case(lambda m, x: m.features(x).relu(), _of("DenseNet")),
    "convnext_tiny": Case(
        lambda m, x: m.classifier[0](m.avgpool(m.features(x))).flatten(1), _of("ConvNeXt", arch="tiny")
    ),
    "vit_b_16": Case(_torchvision_vit, _of("VisionTransformer", **SMALL), (64, 64), {"image_size": 64}),
    # Maps smaller than its windows are another thing to torchvision, and there are none at this size.
    "swin_t": Case(lambda m, x: m.permute(m.norm(m.features(x))), _of("cls.SwinTransformer"), (224, 224)),
}
TIMM: dict[str, Case] = {
    "resnet18d": Case(_map, _of("cls.ResNetV1d", depth=18)),
    "resnet50d": Case(_map, _of("ResNetV1d", depth=50, **LAST)),
    "seresnet50": Case(_map, _of("cls.SEResNet", depth=50)),
    "resnest50d": Case(_map, _of("ResNeSt", depth=50, **LAST)),
    "resnest50d_4s2x40d": Case(
        _map,
        _of("ResNeSt", depth=50, radix=4, groups=2, base_width=40, **LAST),
        arguments={"block_args": {"radix": 4, "avd": True, "avd_first": False}},  # as we order them, not as it does
    ),
    "res2net50d": Case(_map, _of("Res2Net", depth=50, **LAST)),
    "res2net50_14w_8s": Case(
        _map, _of("Res2Net", depth=50, scales=8, base_width=14, deep_stem=False, avg_down=False, **LAST)
    ),
    "cspresnet50": Case(_map, _of("cls.CSPResNet", depth=50, **LAST)),
    "cspresnext50": Case(_map, _of("cls.CSPResNeXt", depth=50, **LAST)),
    "cspdarknet53": Case(_map, _of("cls.CSPDarkNet", depth=53, out_indices=(4,))),
    "darknet53": Case(_map, _of("Darknet", depth=53, out_indices=(5,), act_cfg={"type": "LeakyReLU"})),
    "cspnext_s": Case(_map, _of("CSPNeXt", deepen_factor=0.33, widen_factor=0.5, norm_cfg=BN, out_indices=(4,))),
    "regnetx_004": Case(_map, _of("RegNet", arch="regnetx_400mf", **LAST)),
    "hrnet_w18": Case(_timm_hrnet, _of("HRNet", arch="w18"), (64, 96)),
    "vgg11_bn": Case(_features, _of("VGG", depth=11, norm_cfg=BN)),
    "repvgg_a0": Case(_map, _of("RepVGG", arch="A0")),
    "repvgg_d2se": Case(_map, _of("RepVGG", arch="D2se")),
    "mobilenetv2_100": Case(_map, _of("MobileNetV2", out_indices=7)),
    "mobilenetv3_small_100": Case(_map, _of("MobileNetV3", arch="small", norm_cfg=BN)),
    "efficientnet_b0": Case(_map, _of("EfficientNet", arch="b0", **PLAIN)),
    "tf_efficientnet_b0": Case(_map, _of("EfficientNet", arch="b0")),
    "efficientnet_es": Case(_map, _of("EfficientNet", arch="es", **PLAIN, act_cfg={"type": "ReLU"})),
    "convnext_atto": Case(_vector, _of("ConvNeXt", arch="atto", linear_pw_conv=False)),
    "convnextv2_atto": Case(_vector, _of("ConvNeXt", arch="atto", use_grn=True, layer_scale_init_value=0.0)),
    "vit_tiny_patch16_224": Case(_class_token, _of("VisionTransformer", arch="deit-t", **SMALL), (64, 64), SMALL),
    "vit_small_patch14_dinov2": Case(
        _class_token,
        _of("VisionTransformer", arch="dinov2-s", img_size=56, patch_size=14, layer_scale_init_value=1.0),
        (56, 56),
        {"img_size": 56},
    ),
    "deit_tiny_distilled_patch16_224": Case(
        lambda m, x: m.forward_features(x)[:, :2].unbind(1),
        _of("DistilledVisionTransformer", arch="deit-t", **SMALL),
        (64, 64),
        SMALL,
    ),
    "swin_tiny_patch4_window7_224": Case(
        lambda m, x: m.forward_features(x).permute(0, 3, 1, 2), _of("cls.SwinTransformer"), (224, 224)
    ),
    "pvt_v2_b0": Case(_map, _of("PVTv2", embed_dims=32, num_layers=(2, 2, 2, 2), **LAST), (64, 96)),
    "twins_pcpvt_small": Case(_timm_twins, _of("PCPVT", **TWINS), (64, 64)),
    "twins_svt_small": Case(_timm_twins, _of("SVT", **TWINS), (224, 224)),  # so that its windows need no padding
    "poolformer_s12": Case(_timm_poolformer, _of("PoolFormer", arch="s12"), (64, 96)),
    "xcit_nano_12_p16_224": Case(_class_token, _of("XCiT", embed_dims=128, depth=12, num_heads=4), (64, 96)),
    "mixer_b16_224": Case(lambda m, x: m.forward_features(x).mT, _of("MlpMixer", **SMALL), (64, 64), SMALL),
}
SLOW = {
    "repvgg_d2se",
    "wide_resnet50_2",
    "vgg11",
    "darknet53",
    "res2net50_14w_8s",
    "resnest50d_4s2x40d",
    "cspresnext50",
}
IDS = [
    pytest.param(library, name, marks=[pytest.mark.slow] if name in SLOW else [], id=f"{library}-{name}")
    for library, table in (("torchvision", TORCHVISION), ("timm", TIMM))
    for name in table
]


def make(library: str, name: str, arguments: dict[str, Any]) -> nn.Module:
    """Their model, with nothing in it as it starts."""
    if library == "timm":
        model = pytest.importorskip("timm").create_model(name, **arguments)
    else:
        model = torchvision.models.get_model(name, **arguments)
    for key, value in model.state_dict().items():
        if key.endswith("running_var") or (value.ndim == 1 and key.endswith("weight")):
            nn.init.uniform_(value, 0.5, 1.5)
        elif value.ndim == 1 and value.is_floating_point():
            nn.init.uniform_(value, -0.1, 0.1)
        elif value.is_floating_point() and not value.any():  # positions and tokens start as zeros in some
            nn.init.normal_(value, std=0.02)
    return model.eval()


@pytest.mark.parametrize(("library", "name"), IDS)
@torch.no_grad()
def test_same_features(library: str, name: str) -> None:
    torch.manual_seed(0)
    case = {"torchvision": TORCHVISION, "timm": TIMM}[library][name]
    theirs, ours = make(library, name, case.arguments), MODELS.build(case.config).eval()
    report = load_state_dict(ours, theirs.state_dict(), strict=True)
    assert len(report.sources) == 1
    # Nothing but a classifier was left out.
    tops = ("fc", "head", "classifier", "pre_logits", "conv_head", "incre_modules", "downsamp_modules", "final_layer")
    assert all(one.startswith(tops) for one in report.left_out), report.left_out
    images = torch.randn(2, 3, *case.size)
    got, want = ours(images), case.features(theirs, images)
    if isinstance(got[-1], tuple):
        got = got[-1]
    for one, other in zip(got, [want] if isinstance(want, Tensor) else want, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() / other.norm() < 1e-5
