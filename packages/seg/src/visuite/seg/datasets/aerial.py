"""The earth from above."""

from __future__ import annotations

from typing import Any, ClassVar

from visuite.engine.fileio import join_path
from visuite.seg.datasets.base import SuffixDataset
from visuite.seg.datasets.names import (
    ISAID_CLASSES,
    ISAID_PALETTE,
    ISPRS_CLASSES,
    ISPRS_PALETTE,
    LOVEDA_CLASSES,
    LOVEDA_PALETTE,
)
from visuite.seg.registry import DATASETS

_ISPRS: dict[str, Any] = {"classes": ISPRS_CLASSES, "palette": ISPRS_PALETTE}


@DATASETS.register_module()
class LoveDADataset(SuffixDataset):
    """7 classes of land in China. Wang et al., arXiv:2110.08733."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": LOVEDA_CLASSES, "palette": LOVEDA_PALETTE}
    REDUCE_ZERO_LABEL = True


@DATASETS.register_module()
class PotsdamDataset(SuffixDataset):
    """6 classes of the city of Potsdam, from the benchmark of the ISPRS."""

    METAINFO: ClassVar[dict[str, Any]] = _ISPRS
    REDUCE_ZERO_LABEL = True


@DATASETS.register_module()
class ISPRSDataset(SuffixDataset):
    """6 classes of the town of Vaihingen, from the benchmark of the ISPRS."""

    METAINFO: ClassVar[dict[str, Any]] = _ISPRS
    REDUCE_ZERO_LABEL = True


@DATASETS.register_module()
class iSAIDDataset(SuffixDataset):
    """15 classes of objects, and the background. Waqas Zamir et al., arXiv:1905.12886."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": ISAID_CLASSES, "palette": ISAID_PALETTE}
    SEG_MAP_SUFFIX = "_instance_color_RGB.png"


@DATASETS.register_module()
class LEVIRCDDataset(SuffixDataset):
    """What has changed between two images of a place, whose maps hold 0 and 255. Chen and Shi, Remote Sensing, 2020.

    A record has `img_path2` too, of the folder that `data_prefix` names so.

    Args:
        ann_file: As of `BaseSegDataset`.
        img_suffix2: What names of the later images end with.
        **kwargs: As of `BaseSegDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": ("background", "changed"),
        "palette": [(0, 0, 0), (255, 255, 255)],
        "label_map": {255: 1},
    }

    def __init__(self, ann_file: str = "", *, img_suffix2: str = ".png", **kwargs: Any) -> None:
        self.img_suffix2 = img_suffix2
        super().__init__(ann_file, **kwargs)

    def _record(self, name: str) -> dict[str, Any]:
        later = join_path(self.data_prefix["img_path2"], name + self.img_suffix2)
        return {**super()._record(name), "img_path2": later}
