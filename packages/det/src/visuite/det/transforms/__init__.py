"""Transforms of detection alone; the others are in `visuite.cv.transforms`."""

from visuite.det.transforms.auto_augment import AutoAugment, RandAugment
from visuite.det.transforms.colours import (
    AutoContrast,
    Brightness,
    Color,
    Contrast,
    Equalize,
    Invert,
    Posterize,
    Sharpness,
    Solarize,
    SolarizeAdd,
    YOLOXHSVRandomAug,
)
from visuite.det.transforms.copy_paste import CopyPaste
from visuite.det.transforms.cropping import Expand, MinIoURandomCrop, RandomCenterCropPad, RandomCrop, RandomShift
from visuite.det.transforms.erasing import RandomErasing
from visuite.det.transforms.filtering import FilterAnnotations
from visuite.det.transforms.geometric import Rotate, ShearX, ShearY, TranslateX, TranslateY
from visuite.det.transforms.glip import GTBoxSubOne_GLIP, RandomFlip_GLIP
from visuite.det.transforms.loading import LoadEmptyAnnotations, LoadPanopticAnnotations, LoadProposals
from visuite.det.transforms.mixup import CachedMixUp, MixUp
from visuite.det.transforms.mosaic import CachedMosaic, Mosaic
from visuite.det.transforms.outside import Albu, Corrupt, InstaBoost
from visuite.det.transforms.packing import PackDetInputs
from visuite.det.transforms.resizing import FixScaleResize, FixShapeResize
from visuite.det.transforms.wrappers import MultiBranch, RandomOrder

__all__ = [
    "Albu",
    "AutoAugment",
    "AutoContrast",
    "Brightness",
    "CachedMixUp",
    "CachedMosaic",
    "Color",
    "Contrast",
    "CopyPaste",
    "Corrupt",
    "Equalize",
    "Expand",
    "FilterAnnotations",
    "FixScaleResize",
    "FixShapeResize",
    "GTBoxSubOne_GLIP",
    "InstaBoost",
    "Invert",
    "LoadEmptyAnnotations",
    "LoadPanopticAnnotations",
    "LoadProposals",
    "MinIoURandomCrop",
    "MixUp",
    "Mosaic",
    "MultiBranch",
    "PackDetInputs",
    "Posterize",
    "RandAugment",
    "RandomCenterCropPad",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip_GLIP",
    "RandomOrder",
    "RandomShift",
    "Rotate",
    "Sharpness",
    "ShearX",
    "ShearY",
    "Solarize",
    "SolarizeAdd",
    "TranslateX",
    "TranslateY",
    "YOLOXHSVRandomAug",
]
