"""Semantic segmentation. Importing it fills the registries of scope `seg`."""

from visuite.seg import defaults, heads, preprocessor, registry, samplers, segmentors, structures
from visuite.seg.version import __version__

__all__ = [
    "__version__",
    "defaults",
    "heads",
    "preprocessor",
    "registry",
    "samplers",
    "segmentors",
    "structures",
]
