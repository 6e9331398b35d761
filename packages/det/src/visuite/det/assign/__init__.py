"""Which prior, place or query belongs to which object."""

from visuite.det.assign.max_iou_assigner import ApproxMaxIoUAssigner, MaxIoUAssigner
from visuite.det.assign.result import AssignResult

__all__ = [
    "ApproxMaxIoUAssigner",
    "AssignResult",
    "MaxIoUAssigner",
]
