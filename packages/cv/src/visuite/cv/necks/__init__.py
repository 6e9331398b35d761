"""Necks: what stands between a backbone and a head."""

from visuite.cv.necks.base import MapSpec, Neck, check_head, told_maps
from visuite.cv.necks.channel_mapper import ChannelMapper
from visuite.cv.necks.csp_pafpn import YOLOXPAFPN
from visuite.cv.necks.featurepyramid import Feature2Pyramid
from visuite.cv.necks.fpn import FPN
from visuite.cv.necks.gap import GlobalAveragePooling
from visuite.cv.necks.hrfpn import HRFPN
from visuite.cv.necks.multilevel_neck import MultiLevelNeck
from visuite.cv.necks.pyramid import PyramidLevels, convolve_on, enlarge, pyramid_levels, subsample_on, top_down
from visuite.cv.necks.ssd_neck import L2Norm, SSDNeck
from visuite.cv.necks.yolo_neck import YOLOV3Neck

__all__ = [
    "FPN",
    "HRFPN",
    "YOLOXPAFPN",
    "ChannelMapper",
    "Feature2Pyramid",
    "GlobalAveragePooling",
    "L2Norm",
    "MapSpec",
    "MultiLevelNeck",
    "Neck",
    "PyramidLevels",
    "SSDNeck",
    "YOLOV3Neck",
    "check_head",
    "convolve_on",
    "enlarge",
    "pyramid_levels",
    "subsample_on",
    "told_maps",
    "top_down",
]
