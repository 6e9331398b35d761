"""Transforms: one dict per image in, one out."""

from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.crop import CenterCrop, RandomCrop, RandomResizedCrop
from visuite.cv.transforms.flip import RandomFlip
from visuite.cv.transforms.loading import LoadImageFromFile
from visuite.cv.transforms.moves import MaskTargets
from visuite.cv.transforms.normalize import Normalize
from visuite.cv.transforms.pad import Pad
from visuite.cv.transforms.resize import Resize, ResizeEdge
from visuite.engine.dataset.transform_base import BaseTransform

__all__ = [
    "BaseTransform",
    "CenterCrop",
    "LoadImageFromFile",
    "MaskTargets",
    "Normalize",
    "Pad",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "RandomTransform",
    "Resize",
    "ResizeEdge",
]
