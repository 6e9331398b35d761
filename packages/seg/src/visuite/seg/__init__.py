"""Semantic segmentation. Importing it fills the registries of scope `seg`."""

from visuite.seg import preprocessor, registry, structures
from visuite.seg.version import __version__

__all__ = ["__version__", "preprocessor", "registry", "structures"]
