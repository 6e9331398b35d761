"""The formats of detection, for training with mosaics."""

from __future__ import annotations

from visuite.det.datasets import CocoDataset, CrowdHumanDataset, VOCDataset
from visuite.yolo.datasets.base import YOLOv5Dataset
from visuite.yolo.registry import DATASETS


@DATASETS.register_module()
class YOLOv5CocoDataset(YOLOv5Dataset, CocoDataset):
    """Objects from an annotation file in the format of COCO, arXiv:1405.0312; arguments as of both."""


@DATASETS.register_module()
class YOLOv5VOCDataset(YOLOv5Dataset, VOCDataset):
    """Pascal VOC, Everingham et al., IJCV 2010; arguments as of both."""


@DATASETS.register_module()
class YOLOv5CrowdHumanDataset(YOLOv5Dataset, CrowdHumanDataset):
    """CrowdHuman, arXiv:1805.00123; arguments as of both."""
