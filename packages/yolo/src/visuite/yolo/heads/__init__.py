"""Dense heads of the YOLO family: one algorithm, one file."""

from visuite.yolo.heads.yolov5_head import YOLOv5Head, YOLOv5HeadModule
from visuite.yolo.heads.yolov8_head import YOLOv8Head, YOLOv8HeadModule

__all__ = ["YOLOv5Head", "YOLOv5HeadModule", "YOLOv8Head", "YOLOv8HeadModule"]
