"""Data sets for detection."""

from visuite.det.datasets.base import BaseDetDataset
from visuite.det.datasets.coco import (
    CityscapesDataset,
    CocoDataset,
    DeepFashionDataset,
    LVISDataset,
    ManyClassesDataset,
    Objects365V2Dataset,
)
from visuite.det.datasets.crowdhuman import CrowdHumanDataset
from visuite.det.datasets.panoptic import CocoPanopticDataset
from visuite.det.datasets.samplers import (
    AspectRatioBatchSampler,
    ClassAwareSampler,
    GroupMultiSourceSampler,
    MultiSourceSampler,
)
from visuite.det.datasets.xml_style import VOCDataset, WIDERFaceDataset, XMLDataset

__all__ = [
    "AspectRatioBatchSampler",
    "BaseDetDataset",
    "CityscapesDataset",
    "ClassAwareSampler",
    "CocoDataset",
    "CocoPanopticDataset",
    "CrowdHumanDataset",
    "DeepFashionDataset",
    "GroupMultiSourceSampler",
    "LVISDataset",
    "ManyClassesDataset",
    "MultiSourceSampler",
    "Objects365V2Dataset",
    "VOCDataset",
    "WIDERFaceDataset",
    "XMLDataset",
]
