"""Detectors: how features, proposals and heads go together."""

from visuite.det.detectors.base import BaseDetector
from visuite.det.detectors.deformable_detr import DeformableDETR
from visuite.det.detectors.detr import DETR
from visuite.det.detectors.rpn import RPN
from visuite.det.detectors.single_stage import SingleStageDetector
from visuite.det.detectors.two_stage import TwoStageDetector

__all__ = ["DETR", "RPN", "BaseDetector", "DeformableDETR", "SingleStageDetector", "TwoStageDetector"]
