"""Transforms: one dict per image in, one out."""

from visuite.cv.transforms.affine import RandomAffine
from visuite.cv.transforms.annotations import LoadAnnotations
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
from visuite.cv.transforms.erasing import CutOut, RandomErasing
from visuite.cv.transforms.flip import RandomFlip
from visuite.cv.transforms.formatting import ImageToTensor, NumpyToPIL, PILToNumpy, ToTensor, Transpose, image_to_tensor
from visuite.cv.transforms.loading import LoadImageFromFile, LoadImageFromNDArray, LoadMultiChannelImageFromFiles
from visuite.cv.transforms.mosaic import MosaicTransform
from visuite.cv.transforms.moves import MaskTargets
from visuite.cv.transforms.normalize import Normalize
from visuite.cv.transforms.objects import keep_objects
from visuite.cv.transforms.pad import Pad
from visuite.cv.transforms.photometric import ColorJitter, Lighting, PhotoMetricDistortion, RandomGrayscale
from visuite.cv.transforms.random_resize import RandomChoiceResize, RandomResize
from visuite.cv.transforms.resize import Resize, ResizeEdge, ResizeShortestEdge, SegRescale
from visuite.cv.transforms.versions import MultiScaleFlipAug, TestTimeAug
from visuite.cv.transforms.warp import warp_sample
from visuite.cv.transforms.wrappers import KeyMapper, RandomApply, RandomChoice, TransformBroadcaster
from visuite.engine.dataset import Compose
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS

TRANSFORMS.register_location("visuite.cv.transforms.torchvision_transforms", prefix="torchvision/")

__all__ = [
    "AugmentTransform",
    "AutoAugment",
    "AutoContrast",
    "BaseTransform",
    "Brightness",
    "CenterCrop",
    "ColorJitter",
    "ColorTransform",
    "Compose",
    "Contrast",
    "CutOut",
    "Cutout",
    "EfficientNetCenterCrop",
    "EfficientNetRandomCrop",
    "Equalize",
    "GaussianBlur",
    "ImageToTensor",
    "Invert",
    "KeyMapper",
    "Lighting",
    "LoadAnnotations",
    "LoadImageFromFile",
    "LoadImageFromNDArray",
    "LoadMultiChannelImageFromFiles",
    "MaskTargets",
    "MosaicTransform",
    "MultiScaleFlipAug",
    "Normalize",
    "NumpyToPIL",
    "PILToNumpy",
    "Pad",
    "PhotoMetricDistortion",
    "Posterize",
    "RandAugment",
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomChoiceResize",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomGrayscale",
    "RandomResize",
    "RandomResizedCrop",
    "RandomTransform",
    "Resize",
    "ResizeEdge",
    "ResizeShortestEdge",
    "Rotate",
    "SegRescale",
    "Sharpness",
    "Shear",
    "Solarize",
    "SolarizeAdd",
    "TestTimeAug",
    "ToTensor",
    "TransformBroadcaster",
    "Translate",
    "Transpose",
    "image_to_tensor",
    "keep_objects",
    "warp_sample",
]
