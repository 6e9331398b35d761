"""Transforms of classification alone; the others are in `visuite.cv.transforms`."""

from visuite.cls.transforms.packing import PackInputs, to_tensor

__all__ = ["PackInputs", "to_tensor"]
