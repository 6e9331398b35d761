"""The necks of the YOLO family."""

from visuite.yolo.necks.base import YOLONeck, fit

__all__ = ["YOLONeck", "fit"]
