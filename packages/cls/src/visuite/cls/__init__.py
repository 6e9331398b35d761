"""Image classification. Importing it fills the registries of scope `cls`."""

from visuite.cls import (
    classifiers,
    datasets,
    defaults,
    heads,
    metrics,
    preprocessor,
    structures,
    transforms,
    visualizer,
)
from visuite.cls.version import __version__

__all__ = [
    "__version__",
    "classifiers",
    "datasets",
    "defaults",
    "heads",
    "metrics",
    "preprocessor",
    "structures",
    "transforms",
    "visualizer",
]
