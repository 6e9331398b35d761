"""The backbones of the YOLO family."""

from visuite.yolo.backbones.base import Stage, YOLOBackbone

__all__ = ["Stage", "YOLOBackbone"]
