"""Necks that only segmentation has."""

from visuite.seg.necks.ic_neck import ICNeck

__all__ = ["ICNeck"]
