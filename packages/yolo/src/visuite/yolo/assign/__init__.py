"""Which prior belongs to which object, for all images of a batch at once."""

from visuite.yolo.assign.task_aligned import BatchTaskAlignedAssigner

__all__ = ["BatchTaskAlignedAssigner"]
