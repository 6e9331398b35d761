"""Checkpoints of whole models, and those of libraries whose models stand here as they are."""

from __future__ import annotations

from visuite.cv.backbones.base import Backbone
from visuite.cv.backbones.timm_backbone import TIMMBackbone
from visuite.cv.backbones.torchvision_backbone import TorchvisionBackbone
from visuite.cv.checkpoints.renaming import Renaming
from visuite.engine.model import register_key_map

# A classifier, detector or segmentor in OpenMMLab's names, of which the backbone is wanted.
register_key_map(
    Backbone, Renaming(("openmmlab",), r"^backbone\.", rules=[(r"^backbone\.", "")], left_out=r"^(?!backbone\.)")
)
# MoCo keeps two encoders; that of the queries is the one to use.
register_key_map(
    Backbone,
    Renaming(
        ("moco",),
        r"^(module\.)?encoder_q\.",
        rules=[(r"^(module\.)?encoder_q\.", "")],
        left_out=r"^(module\.)?(encoder_k\.|queue)",
    ),
)
register_key_map(TIMMBackbone, Renaming(("timm",), r"^(?!timm_model\.)", rules=[(r"^(?!timm_model\.)", "timm_model.")]))
register_key_map(TorchvisionBackbone, Renaming(("torchvision",), r"^(?!model\.)", rules=[(r"^(?!model\.)", "model.")]))
