"""Object detection and instance segmentation. Importing it fills the registries of scope `det`."""

from visuite.det import (
    assign,
    batch_augments,
    boxes,
    datasets,
    defaults,
    detectors,
    heads,
    layers,
    preprocessor,
    registry,
    roi_heads,
    sampling,
    structures,
    transforms,
)
from visuite.det.version import __version__

__all__ = [
    "__version__",
    "assign",
    "batch_augments",
    "boxes",
    "datasets",
    "defaults",
    "detectors",
    "heads",
    "layers",
    "preprocessor",
    "registry",
    "roi_heads",
    "sampling",
    "structures",
    "transforms",
]
