"""Scenes of all kinds, and people."""

from __future__ import annotations

from typing import Any, ClassVar

from visuite.seg.datasets.base import SuffixDataset
from visuite.seg.datasets.names import (
    ADE20K_CLASSES,
    ADE20K_PALETTE,
    COCO_STUFF_CLASSES,
    LIP_CLASSES,
    LIP_PALETTE,
    PASCAL_CONTEXT_CLASSES,
    PASCAL_VOC_CLASSES,
    voc_palette,
)
from visuite.seg.registry import DATASETS


@DATASETS.register_module()
class ADE20KDataset(SuffixDataset):
    """150 classes of scenes. Zhou et al., arXiv:1608.05442."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": ADE20K_CLASSES, "palette": ADE20K_PALETTE}
    IMG_SUFFIX, REDUCE_ZERO_LABEL = ".jpg", True


@DATASETS.register_module()
class PascalVOCDataset(SuffixDataset):
    """20 classes of objects, and the background. Everingham et al., 2010.

    With the additional maps of Hariharan et al. it is a `ConcatDataset` of both.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": PASCAL_VOC_CLASSES, "palette": voc_palette(21)}
    IMG_SUFFIX = ".jpg"


@DATASETS.register_module()
class PascalContextDataset(SuffixDataset):
    """59 classes of objects and stuff, and the background. Mottaghi et al., CVPR 2014."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": PASCAL_CONTEXT_CLASSES, "palette": ADE20K_PALETTE[:60]}
    IMG_SUFFIX = ".jpg"


@DATASETS.register_module()
class PascalContextDataset59(SuffixDataset):
    """The same without the background, which is ignored."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": PASCAL_CONTEXT_CLASSES[1:], "palette": ADE20K_PALETTE[1:60]}
    IMG_SUFFIX, REDUCE_ZERO_LABEL = ".jpg", True


@DATASETS.register_module()
class COCOStuffDataset(SuffixDataset):
    """80 classes of objects and 91 of stuff. Caesar et al., arXiv:1612.03716."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": COCO_STUFF_CLASSES}
    IMG_SUFFIX, SEG_MAP_SUFFIX = ".jpg", "_labelTrainIds.png"


@DATASETS.register_module()
class LIPDataset(SuffixDataset):
    """19 parts of people and their clothes, and the background. Gong et al., arXiv:1703.05446."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": LIP_CLASSES, "palette": LIP_PALETTE}
    IMG_SUFFIX = ".jpg"
