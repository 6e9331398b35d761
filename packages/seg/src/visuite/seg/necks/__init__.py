"""Necks that only segmentation has."""

from visuite.seg.necks.ic_neck import ICNeck
from visuite.seg.necks.jpu import JPU
from visuite.seg.necks.mla_neck import MLANeck

__all__ = [
    "JPU",
    "ICNeck",
    "MLANeck",
]
