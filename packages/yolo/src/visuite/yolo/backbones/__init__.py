"""The backbones of the YOLO family."""

from visuite.yolo.backbones.base import Stage, YOLOBackbone
from visuite.yolo.backbones.cspnext import CSPNeXt
from visuite.yolo.backbones.ppyoloe import PPYOLOECSPResNet
from visuite.yolo.backbones.yolov5 import YOLOv5CSPDarknet
from visuite.yolo.backbones.yolov6 import YOLOv6EfficientRep
from visuite.yolo.backbones.yolov7 import YOLOv7Backbone
from visuite.yolo.backbones.yolov8 import YOLOv8CSPDarknet
from visuite.yolo.backbones.yolox import YOLOXCSPDarknet

__all__ = [
    "CSPNeXt",
    "PPYOLOECSPResNet",
    "Stage",
    "YOLOBackbone",
    "YOLOXCSPDarknet",
    "YOLOv5CSPDarknet",
    "YOLOv6EfficientRep",
    "YOLOv7Backbone",
    "YOLOv8CSPDarknet",
]
