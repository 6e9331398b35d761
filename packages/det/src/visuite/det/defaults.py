"""What detection's configs expect where they say nothing: shared classes under this scope, with other defaults."""

from __future__ import annotations

from visuite.cv.backbones import HRNet, RegNet, Res2Net, ResNeSt, ResNet
from visuite.det.registry import MODELS

MODELS.register_defaults(ResNet, norm_eval=True)
MODELS.register_defaults(ResNet, "ResNetV1d", norm_eval=True, deep_stem=True, avg_down=True)
MODELS.register_defaults(ResNet, "ResNeXt", norm_eval=True, groups=32, width_per_group=4)
MODELS.register_defaults(ResNeSt, norm_eval=True)
MODELS.register_defaults(Res2Net, norm_eval=True)
MODELS.register_defaults(RegNet, norm_eval=True)
MODELS.register_defaults(HRNet, norm_eval=True)
