"""Transforms: one dict per image in, one out."""

from visuite.cv.transforms.augment import AugmentTransform
from visuite.cv.transforms.augment_colour import (
    AutoContrast,
    Brightness,
    ColorTransform,
    Contrast,
    Equalize,
    GaussianBlur,
    Invert,
    Posterize,
    Sharpness,
    Solarize,
    SolarizeAdd,
)
from visuite.cv.transforms.augment_geometry import Cutout, Rotate, Shear, Translate
from visuite.cv.transforms.auto_augment import AutoAugment, RandAugment
from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.crop import CenterCrop, RandomCrop, RandomResizedCrop
from visuite.cv.transforms.efficientnet_crop import EfficientNetCenterCrop, EfficientNetRandomCrop
from visuite.cv.transforms.flip import RandomFlip
from visuite.cv.transforms.loading import LoadImageFromFile
from visuite.cv.transforms.moves import MaskTargets
from visuite.cv.transforms.normalize import Normalize
from visuite.cv.transforms.pad import Pad
from visuite.cv.transforms.resize import Resize, ResizeEdge
from visuite.cv.transforms.warp import warp_sample
from visuite.engine.dataset.transform_base import BaseTransform

__all__ = [
    "AugmentTransform",
    "AutoAugment",
    "AutoContrast",
    "BaseTransform",
    "Brightness",
    "CenterCrop",
    "ColorTransform",
    "Contrast",
    "Cutout",
    "EfficientNetCenterCrop",
    "EfficientNetRandomCrop",
    "Equalize",
    "GaussianBlur",
    "Invert",
    "LoadImageFromFile",
    "MaskTargets",
    "Normalize",
    "Pad",
    "Posterize",
    "RandAugment",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "RandomTransform",
    "Resize",
    "ResizeEdge",
    "Rotate",
    "Sharpness",
    "Shear",
    "Solarize",
    "SolarizeAdd",
    "Translate",
    "warp_sample",
]
