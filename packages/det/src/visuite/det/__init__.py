"""Object detection and instance segmentation."""

from visuite.det import assign, boxes, registry, sampling
from visuite.det.version import __version__

__all__ = ["__version__", "assign", "boxes", "registry", "sampling"]
