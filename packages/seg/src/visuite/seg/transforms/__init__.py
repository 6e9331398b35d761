"""Transforms of segmentation alone; the others are in `visuite.cv.transforms`."""

from visuite.seg.transforms.edges import GenerateEdge
from visuite.seg.transforms.geometry import RandomCrop, RandomRotate, RandomRotFlip, ResizeToMultiple
from visuite.seg.transforms.loading import (
    ConcatCDInput,
    LoadAnnotations,
    LoadMultipleRSImageFromFile,
    LoadSingleRSImageFromFile,
)
from visuite.seg.transforms.mosaic import RandomMosaic
from visuite.seg.transforms.packing import PackSegInputs
from visuite.seg.transforms.photometric import CLAHE, AdjustGamma, Rerange, RGB2Gray

__all__ = [
    "CLAHE",
    "AdjustGamma",
    "ConcatCDInput",
    "GenerateEdge",
    "LoadAnnotations",
    "LoadMultipleRSImageFromFile",
    "LoadSingleRSImageFromFile",
    "PackSegInputs",
    "RGB2Gray",
    "RandomCrop",
    "RandomMosaic",
    "RandomRotFlip",
    "RandomRotate",
    "Rerange",
    "ResizeToMultiple",
]
