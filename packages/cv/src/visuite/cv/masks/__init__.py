"""Masks of objects: bitmaps, polygons and COCO's run lengths."""

from visuite.cv.masks.base import InstanceMasks
from visuite.cv.masks.bitmap import BitmapMasks
from visuite.cv.masks.polygon import PolygonMasks
from visuite.cv.masks.rle import decode_rle, encode_rle, is_rle, polygons_to_bitmap

__all__ = [
    "BitmapMasks",
    "InstanceMasks",
    "PolygonMasks",
    "decode_rle",
    "encode_rle",
    "is_rle",
    "polygons_to_bitmap",
]
