"""Checkpoints of others: how torchvision, timm and the papers' authors name what the backbones here have.

Importing it registers the key maps, so that `load_checkpoint` and `init_cfg=dict(type='Pretrained', ...)` know them.
"""

from visuite.cv.checkpoints import convnext, general, mobile, plain, pvt, residual, swin, token_mixers, vit
from visuite.cv.checkpoints.renaming import Renaming, less, moved, numbers

__all__ = [
    "Renaming",
    "convnext",
    "general",
    "less",
    "mobile",
    "moved",
    "numbers",
    "plain",
    "pvt",
    "residual",
    "swin",
    "token_mixers",
    "vit",
]
