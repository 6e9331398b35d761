"""What classification's configs expect where they say nothing: shared classes under this scope, with other defaults."""

from __future__ import annotations

from typing import Any

from visuite.cls.registry import MODELS, TRANSFORMS
from visuite.cv.backbones import (
    PCPVT,
    SVT,
    MobileNetV2,
    RegNet,
    Res2Net,
    ResNeSt,
    ResNet,
    ResNet_CIFAR,
    SwinTransformer,
)
from visuite.cv.transforms import RandomCrop

_RESNET: dict[str, Any] = {"out_indices": (3,), "stem_channels": 64, "norm_eval": False, "key_style": "cls"}

MODELS.register_defaults(ResNet, **_RESNET)
MODELS.register_defaults(ResNet, "ResNetV1c", **_RESNET, deep_stem=True)
MODELS.register_defaults(ResNet, "ResNetV1d", **_RESNET, deep_stem=True, avg_down=True)
MODELS.register_defaults(ResNet, "ResNeXt", **_RESNET, groups=32, width_per_group=4)
MODELS.register_defaults(ResNet, "SEResNet", **_RESNET, se_ratio=16)
MODELS.register_defaults(ResNet, "SEResNeXt", **_RESNET, se_ratio=16, groups=32, width_per_group=4)
MODELS.register_defaults(ResNet_CIFAR, **_RESNET)
MODELS.register_defaults(ResNeSt, **_RESNET)
MODELS.register_defaults(Res2Net, **_RESNET, deep_stem=False, avg_down=False)
MODELS.register_defaults(RegNet, out_indices=(3,))
MODELS.register_defaults(MobileNetV2, out_indices=(7,))
MODELS.register_defaults(SwinTransformer, out_indices=(3,), pad_small_map=False)
for _twins in (PCPVT, SVT):
    MODELS.register_defaults(_twins, out_indices=(3,), key_style="cls", norm_after_stage=(False, False, False, True))

TRANSFORMS.register_module(module=RandomCrop)
