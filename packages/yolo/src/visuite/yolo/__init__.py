"""The YOLO family, written from the papers."""

from visuite.yolo import registry
from visuite.yolo.version import __version__

__all__ = ["__version__", "registry"]
