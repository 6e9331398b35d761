"""Image classification. Importing it fills the registries of scope `cls`."""

from visuite.cls import (
    batch_mixing,
    classifiers,
    datasets,
    defaults,
    heads,
    inferencer,
    metrics,
    necks,
    preprocessor,
    structures,
    transforms,
    tta,
    visualizer,
)
from visuite.cls.version import __version__

__all__ = [
    "__version__",
    "batch_mixing",
    "classifiers",
    "datasets",
    "defaults",
    "heads",
    "inferencer",
    "metrics",
    "necks",
    "preprocessor",
    "structures",
    "transforms",
    "tta",
    "visualizer",
]
