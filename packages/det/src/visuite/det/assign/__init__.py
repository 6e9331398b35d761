"""Which prior, place or query belongs to which object."""

from visuite.det.assign.atss_assigner import ATSSAssigner
from visuite.det.assign.center_region_assigner import CenterRegionAssigner
from visuite.det.assign.costs import (
    BaseMatchCost,
    BBoxL1Cost,
    BinaryFocalLossCost,
    ClassificationCost,
    CrossEntropyLossCost,
    DiceCost,
    FocalLossCost,
    IoUCost,
)
from visuite.det.assign.dynamic_soft_label_assigner import DynamicSoftLabelAssigner
from visuite.det.assign.grid_assigner import GridAssigner
from visuite.det.assign.hungarian_assigner import HungarianAssigner
from visuite.det.assign.max_iou_assigner import ApproxMaxIoUAssigner, MaxIoUAssigner
from visuite.det.assign.point_assigner import PointAssigner
from visuite.det.assign.result import AssignResult
from visuite.det.assign.sim_ota_assigner import SimOTAAssigner
from visuite.det.assign.task_aligned_assigner import TaskAlignedAssigner
from visuite.det.assign.uniform_assigner import UniformAssigner

__all__ = [
    "ATSSAssigner",
    "ApproxMaxIoUAssigner",
    "AssignResult",
    "BBoxL1Cost",
    "BaseMatchCost",
    "BinaryFocalLossCost",
    "CenterRegionAssigner",
    "ClassificationCost",
    "CrossEntropyLossCost",
    "DiceCost",
    "DynamicSoftLabelAssigner",
    "FocalLossCost",
    "GridAssigner",
    "HungarianAssigner",
    "IoUCost",
    "MaxIoUAssigner",
    "PointAssigner",
    "SimOTAAssigner",
    "TaskAlignedAssigner",
    "UniformAssigner",
]
