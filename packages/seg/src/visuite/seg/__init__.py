"""Semantic segmentation."""

from visuite.seg import registry
from visuite.seg.version import __version__

__all__ = ["__version__", "registry"]
