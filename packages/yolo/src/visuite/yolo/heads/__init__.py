"""Dense heads of the YOLO family: one algorithm, one file."""

from visuite.yolo.heads.yolov8_head import YOLOv8Head, YOLOv8HeadModule

__all__ = ["YOLOv8Head", "YOLOv8HeadModule"]
