"""Object detection and instance segmentation."""

from visuite.det import registry
from visuite.det.version import __version__

__all__ = ["__version__", "registry"]
