"""The YOLO family, written from the papers."""

from visuite.yolo import (
    assign,
    backbones,
    batch_augments,
    boxes,
    datasets,
    heads,
    hooks,
    layers,
    losses,
    necks,
    optim,
    registry,
    transforms,
)
from visuite.yolo.detector import YOLODetector
from visuite.yolo.preprocessor import PPYOLOEDetDataPreprocessor, YOLOv5DetDataPreprocessor
from visuite.yolo.version import __version__

__all__ = [
    "PPYOLOEDetDataPreprocessor",
    "YOLODetector",
    "YOLOv5DetDataPreprocessor",
    "__version__",
    "assign",
    "backbones",
    "batch_augments",
    "boxes",
    "datasets",
    "heads",
    "hooks",
    "layers",
    "losses",
    "necks",
    "optim",
    "registry",
    "transforms",
]
