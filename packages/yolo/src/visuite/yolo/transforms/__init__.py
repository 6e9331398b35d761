"""Transforms of the YOLO family; the others are in `visuite.det.transforms` and `visuite.cv.transforms`."""

from visuite.det.transforms import FilterAnnotations, PackDetInputs
from visuite.yolo.registry import TRANSFORMS
from visuite.yolo.transforms.affine import YOLOv5RandomAffine
from visuite.yolo.transforms.colours import PPYOLOERandomDistort, YOLOv5HSVRandomAug
from visuite.yolo.transforms.copy_paste import YOLOv5CopyPaste
from visuite.yolo.transforms.cropping import PPYOLOERandomCrop
from visuite.yolo.transforms.formatting import Polygon2Mask, RemoveDataElement
from visuite.yolo.transforms.loading import LoadAnnotations
from visuite.yolo.transforms.mixup import YOLOv5MixUp, YOLOXMixUp
from visuite.yolo.transforms.mosaic import Mosaic, Mosaic9
from visuite.yolo.transforms.partners import Partners
from visuite.yolo.transforms.resizing import LetterResize, YOLOv5KeepRatioResize

# Configs of this scope name these two of detection's without a prefix, too.
TRANSFORMS.register_module(module=FilterAnnotations)
TRANSFORMS.register_module(module=PackDetInputs)

__all__ = [
    "FilterAnnotations",
    "LetterResize",
    "LoadAnnotations",
    "Mosaic",
    "Mosaic9",
    "PPYOLOERandomCrop",
    "PPYOLOERandomDistort",
    "PackDetInputs",
    "Partners",
    "Polygon2Mask",
    "RemoveDataElement",
    "YOLOXMixUp",
    "YOLOv5CopyPaste",
    "YOLOv5HSVRandomAug",
    "YOLOv5KeepRatioResize",
    "YOLOv5MixUp",
    "YOLOv5RandomAffine",
]
