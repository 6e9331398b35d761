"""Semantic segmentation. Importing it fills the registries of scope `seg`."""

from visuite.seg import (
    backbones,
    datasets,
    defaults,
    heads,
    hooks,
    inferencer,
    metrics,
    necks,
    preprocessor,
    registry,
    samplers,
    segmentors,
    structures,
    transforms,
    visualizer,
)
from visuite.seg.version import __version__

__all__ = [
    "__version__",
    "backbones",
    "datasets",
    "defaults",
    "heads",
    "hooks",
    "inferencer",
    "metrics",
    "necks",
    "preprocessor",
    "registry",
    "samplers",
    "segmentors",
    "structures",
    "transforms",
    "visualizer",
]
