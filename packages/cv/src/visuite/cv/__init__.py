"""What vision tasks share: images, transforms, operators, layers, backbones, necks and losses.

Importing it fills the root registries, so that configs name its parts without a prefix.
"""

from visuite.cv import backbones, checkpoints, image, layers, losses, masks, necks, ops, transforms
from visuite.cv.version import __version__

__all__ = [
    "__version__",
    "backbones",
    "checkpoints",
    "image",
    "layers",
    "losses",
    "masks",
    "necks",
    "ops",
    "transforms",
]
