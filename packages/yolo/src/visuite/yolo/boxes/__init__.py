"""How YOLO's heads write boxes down."""

from visuite.yolo.boxes.distance_coder import DistancePointBBoxCoder
from visuite.yolo.boxes.yolov5_coder import YOLOv5BBoxCoder
from visuite.yolo.boxes.yolox_coder import YOLOXBBoxCoder

__all__ = ["DistancePointBBoxCoder", "YOLOXBBoxCoder", "YOLOv5BBoxCoder"]
