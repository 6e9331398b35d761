"""Hooks that only segmentation has."""

from visuite.seg.hooks.visualization import SegVisualizationHook

__all__ = ["SegVisualizationHook"]
