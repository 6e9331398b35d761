"""The necks of the YOLO family."""

from visuite.yolo.necks.base import YOLONeck, fit
from visuite.yolo.necks.csp_pafpn import CSPPAFPN
from visuite.yolo.necks.ppyoloe import PPYOLOECSPPAFPN
from visuite.yolo.necks.yolov6 import YOLOv6RepBiPAFPN, YOLOv6RepPAFPN
from visuite.yolo.necks.yolov7 import YOLOv7PAFPN
from visuite.yolo.necks.yolov8 import YOLOv8PAFPN

__all__ = [
    "CSPPAFPN",
    "PPYOLOECSPPAFPN",
    "YOLONeck",
    "YOLOv6RepBiPAFPN",
    "YOLOv6RepPAFPN",
    "YOLOv7PAFPN",
    "YOLOv8PAFPN",
    "fit",
]
