"""Boxes of detectors: where priors stand, how boxes are told as offsets from them, and how much boxes overlap."""

from visuite.det.boxes.anchor_generator import (
    AnchorGenerator,
    LegacyAnchorGenerator,
    LegacySSDAnchorGenerator,
    SSDAnchorGenerator,
    YOLOAnchorGenerator,
)
from visuite.det.boxes.coder import BBoxCoder, PseudoBBoxCoder, clip_boxes
from visuite.det.boxes.delta_coder import DeltaXYWHBBoxCoder, LegacyDeltaXYWHBBoxCoder, bbox2delta, delta2bbox
from visuite.det.boxes.distance_coder import DistancePointBBoxCoder, bbox2distance, distance2bbox
from visuite.det.boxes.grid import GridPriors
from visuite.det.boxes.overlaps import BboxOverlaps2D, BboxOverlaps2D_GLIP
from visuite.det.boxes.point_generator import MlvlPointGenerator
from visuite.det.boxes.tblr_coder import TBLRBBoxCoder, bboxes2tblr, tblr2bboxes
from visuite.det.boxes.yolo_coder import YOLOBBoxCoder
from visuite.det.boxes.yolox_coder import bbox2yolox, yolox2bbox

__all__ = [
    "AnchorGenerator",
    "BBoxCoder",
    "BboxOverlaps2D",
    "BboxOverlaps2D_GLIP",
    "DeltaXYWHBBoxCoder",
    "DistancePointBBoxCoder",
    "GridPriors",
    "LegacyAnchorGenerator",
    "LegacyDeltaXYWHBBoxCoder",
    "LegacySSDAnchorGenerator",
    "MlvlPointGenerator",
    "PseudoBBoxCoder",
    "SSDAnchorGenerator",
    "TBLRBBoxCoder",
    "YOLOAnchorGenerator",
    "YOLOBBoxCoder",
    "bbox2delta",
    "bbox2distance",
    "bbox2yolox",
    "bboxes2tblr",
    "clip_boxes",
    "delta2bbox",
    "distance2bbox",
    "tblr2bboxes",
    "yolox2bbox",
]
