"""Which prior belongs to which object, for all images of a batch at once."""

from visuite.yolo.assign.atss import BatchATSSAssigner
from visuite.yolo.assign.dynamic_soft_label import BatchDynamicSoftLabelAssigner
from visuite.yolo.assign.task_aligned import BatchTaskAlignedAssigner
from visuite.yolo.assign.yolov7 import BatchYOLOv7Assigner

__all__ = [
    "BatchATSSAssigner",
    "BatchDynamicSoftLabelAssigner",
    "BatchTaskAlignedAssigner",
    "BatchYOLOv7Assigner",
]
