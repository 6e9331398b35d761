"""Transforms of classification alone; the others are in `visuite.cv.transforms`."""

from visuite.cls.transforms.packing import PackInputs

__all__ = ["PackInputs"]
