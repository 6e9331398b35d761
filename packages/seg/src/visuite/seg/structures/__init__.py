"""Data elements of segmentation."""

from visuite.seg.structures.seg_data_sample import SegDataSample

__all__ = ["SegDataSample"]
