"""Streets."""

from __future__ import annotations

from typing import Any, ClassVar

from visuite.seg.datasets.base import SuffixDataset
from visuite.seg.datasets.names import (
    CAMVID_CLASSES,
    CAMVID_PALETTE,
    CITYSCAPES_CLASSES,
    CITYSCAPES_PALETTE,
    MAPILLARY_V1_CLASSES,
    MAPILLARY_V1_PALETTE,
    MAPILLARY_V2_CLASSES,
)
from visuite.seg.registry import DATASETS

_CITYSCAPES: dict[str, Any] = {"classes": CITYSCAPES_CLASSES, "palette": CITYSCAPES_PALETTE}


@DATASETS.register_module()
class CityscapesDataset(SuffixDataset):
    """19 classes of streets. Cordts et al., arXiv:1604.01685."""

    METAINFO: ClassVar[dict[str, Any]] = _CITYSCAPES
    IMG_SUFFIX, SEG_MAP_SUFFIX = "_leftImg8bit.png", "_gtFine_labelTrainIds.png"


@DATASETS.register_module()
class DarkZurichDataset(SuffixDataset):
    """Streets by night, with the classes of Cityscapes. Sakaridis et al., arXiv:1901.05946."""

    METAINFO: ClassVar[dict[str, Any]] = _CITYSCAPES
    IMG_SUFFIX, SEG_MAP_SUFFIX = "_rgb_anon.png", "_gt_labelTrainIds.png"


@DATASETS.register_module()
class NightDrivingDataset(SuffixDataset):
    """Streets by night, with the classes of Cityscapes. Dai and Van Gool, arXiv:1810.02575."""

    METAINFO: ClassVar[dict[str, Any]] = _CITYSCAPES
    IMG_SUFFIX, SEG_MAP_SUFFIX = "_leftImg8bit.png", "_gtCoarse_labelTrainIds.png"


@DATASETS.register_module()
class BDD100KDataset(SuffixDataset):
    """Streets of the USA, with the classes of Cityscapes. Yu et al., arXiv:1805.04687."""

    METAINFO: ClassVar[dict[str, Any]] = _CITYSCAPES
    IMG_SUFFIX = ".jpg"


@DATASETS.register_module()
class MapillaryDataset_v1(SuffixDataset):
    """66 classes of streets all over the world, Mapillary Vistas 1.2. Neuhold et al., ICCV 2017."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": MAPILLARY_V1_CLASSES, "palette": MAPILLARY_V1_PALETTE}
    IMG_SUFFIX = ".jpg"


@DATASETS.register_module()
class MapillaryDataset_v2(SuffixDataset):
    """124 classes of streets all over the world, Mapillary Vistas 2.0."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": MAPILLARY_V2_CLASSES}
    IMG_SUFFIX = ".jpg"


@DATASETS.register_module()
class CamVidDataset(SuffixDataset):
    """11 classes of streets in Cambridge; what the files call class 11 is void. Brostow et al., 2009."""

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": CAMVID_CLASSES,
        "palette": CAMVID_PALETTE,
        "label_map": {11: 255},
    }
    IMG_SUFFIX = ".jpg"
