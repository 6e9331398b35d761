"""Necks: what stands between a backbone and a head."""

from visuite.cv.necks.gap import GlobalAveragePooling

__all__ = ["GlobalAveragePooling"]
