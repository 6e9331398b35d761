"""Semantic segmentation. Importing it fills the registries of scope `seg`."""

from visuite.seg import (
    backbones,
    datasets,
    defaults,
    heads,
    necks,
    preprocessor,
    registry,
    samplers,
    segmentors,
    structures,
    transforms,
)
from visuite.seg.version import __version__

__all__ = [
    "__version__",
    "backbones",
    "datasets",
    "defaults",
    "heads",
    "necks",
    "preprocessor",
    "registry",
    "samplers",
    "segmentors",
    "structures",
    "transforms",
]
