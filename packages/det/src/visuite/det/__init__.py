"""Object detection and instance segmentation. Importing it fills the registries of scope `det`."""

from visuite.det import assign, boxes, datasets, defaults, detectors, heads, registry, roi_heads, sampling, structures
from visuite.det.version import __version__

__all__ = [
    "__version__",
    "assign",
    "boxes",
    "datasets",
    "defaults",
    "detectors",
    "heads",
    "registry",
    "roi_heads",
    "sampling",
    "structures",
]
