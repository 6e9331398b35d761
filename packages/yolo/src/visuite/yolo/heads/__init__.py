"""Dense heads of the YOLO family: one algorithm, one file."""

from visuite.yolo.heads.ppyoloe_head import PPYOLOEHead, PPYOLOEHeadModule
from visuite.yolo.heads.rtmdet_head import RTMDetHead, RTMDetSepBNHeadModule
from visuite.yolo.heads.rtmdet_ins_head import RTMDetInsSepBNHead, RTMDetInsSepBNHeadModule
from visuite.yolo.heads.yolov5_head import YOLOv5Head, YOLOv5HeadModule
from visuite.yolo.heads.yolov5_ins_head import YOLOv5InsHead, YOLOv5InsHeadModule
from visuite.yolo.heads.yolov6_head import YOLOv6Head, YOLOv6HeadModule
from visuite.yolo.heads.yolov7_head import YOLOv7Head, YOLOv7HeadModule, YOLOv7p6HeadModule
from visuite.yolo.heads.yolov8_head import YOLOv8Head, YOLOv8HeadModule
from visuite.yolo.heads.yolox_head import YOLOXHead, YOLOXHeadModule

__all__ = [
    "PPYOLOEHead",
    "PPYOLOEHeadModule",
    "RTMDetHead",
    "RTMDetInsSepBNHead",
    "RTMDetInsSepBNHeadModule",
    "RTMDetSepBNHeadModule",
    "YOLOXHead",
    "YOLOXHeadModule",
    "YOLOv5Head",
    "YOLOv5HeadModule",
    "YOLOv5InsHead",
    "YOLOv5InsHeadModule",
    "YOLOv6Head",
    "YOLOv6HeadModule",
    "YOLOv7Head",
    "YOLOv7HeadModule",
    "YOLOv7p6HeadModule",
    "YOLOv8Head",
    "YOLOv8HeadModule",
]
