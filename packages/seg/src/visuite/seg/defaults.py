"""What segmentation's configs expect where they say nothing: shared classes under this scope, with other defaults."""

from __future__ import annotations

from typing import Any

from visuite.cv.backbones import HRNet, MobileNetV2, MobileNetV3, VisionTransformer
from visuite.cv.losses import CrossEntropyLoss, FocalLoss
from visuite.cv.transforms import CutOut, PhotoMetricDistortion
from visuite.seg.registry import MODELS, TRANSFORMS

_DENSE_TRANSFORMER: dict[str, Any] = {
    "key_style": "dense",
    "out_type": "featmap",
    "final_norm": False,
    "patch_bias": False,
}

MODELS.register_defaults(HRNet, upsample="bilinear")
MODELS.register_defaults(MobileNetV2, out_indices=(1, 2, 4, 6), last_conv=False)
MODELS.register_defaults(
    MobileNetV3, out_indices=(0, 1, 12), output_stride=8, reduction_factor=1, adaptive_padding=True
)
MODELS.register_defaults(VisionTransformer, **_DENSE_TRANSFORMER)
MODELS.register_defaults(CrossEntropyLoss, avg_class_weight=True)
MODELS.register_defaults(FocalLoss, alpha=0.5)
TRANSFORMS.register_defaults(CutOut, "RandomCutOut", prob=0.5)
TRANSFORMS.register_defaults(PhotoMetricDistortion, swap_channels=False)
