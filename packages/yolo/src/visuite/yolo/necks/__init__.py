"""The necks of the YOLO family."""

from visuite.yolo.necks.base import YOLONeck, fit
from visuite.yolo.necks.csp_pafpn import CSPPAFPN
from visuite.yolo.necks.yolov8 import YOLOv8PAFPN

__all__ = ["CSPPAFPN", "YOLONeck", "YOLOv8PAFPN", "fit"]
