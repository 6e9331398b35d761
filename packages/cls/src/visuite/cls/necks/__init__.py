"""Necks of classification alone; the others are in `visuite.cv.necks`."""

from visuite.cls.necks.batch_norm import ClsBatchNormNeck
from visuite.cls.necks.gem import GeneralizedMeanPooling
from visuite.cls.necks.hr_fuse import HRFuseScales

__all__ = ["ClsBatchNormNeck", "GeneralizedMeanPooling", "HRFuseScales"]
