"""Masks of objects: bitmaps, polygons and COCO's run lengths."""

from visuite.cv.masks.base import InstanceMasks
from visuite.cv.masks.bitmap import BitmapMasks
from visuite.cv.masks.outline import bitmap_to_polygons, joined_polygons, visible_boxes
from visuite.cv.masks.polygon import PolygonMasks
from visuite.cv.masks.rle import decode_rle, encode_rle, is_rle, polygons_to_bitmap

__all__ = [
    "BitmapMasks",
    "InstanceMasks",
    "PolygonMasks",
    "bitmap_to_polygons",
    "decode_rle",
    "encode_rle",
    "is_rle",
    "joined_polygons",
    "polygons_to_bitmap",
    "visible_boxes",
]
