"""Data sets for segmentation."""

from visuite.seg.datasets.aerial import (
    ISPRSDataset,
    LEVIRCDDataset,
    LoveDADataset,
    PotsdamDataset,
    iSAIDDataset,
)
from visuite.seg.datasets.base import BaseSegDataset
from visuite.seg.datasets.medical import (
    ChaseDB1Dataset,
    DRIVEDataset,
    HRFDataset,
    REFUGEDataset,
    STAREDataset,
    SynapseDataset,
)
from visuite.seg.datasets.scenes import (
    ADE20KDataset,
    COCOStuffDataset,
    LIPDataset,
    PascalContextDataset,
    PascalContextDataset59,
    PascalVOCDataset,
)
from visuite.seg.datasets.street import (
    BDD100KDataset,
    CamVidDataset,
    CityscapesDataset,
    DarkZurichDataset,
    MapillaryDataset_v1,
    MapillaryDataset_v2,
    NightDrivingDataset,
)

__all__ = [
    "ADE20KDataset",
    "BDD100KDataset",
    "BaseSegDataset",
    "COCOStuffDataset",
    "CamVidDataset",
    "ChaseDB1Dataset",
    "CityscapesDataset",
    "DRIVEDataset",
    "DarkZurichDataset",
    "HRFDataset",
    "ISPRSDataset",
    "LEVIRCDDataset",
    "LIPDataset",
    "LoveDADataset",
    "MapillaryDataset_v1",
    "MapillaryDataset_v2",
    "NightDrivingDataset",
    "PascalContextDataset",
    "PascalContextDataset59",
    "PascalVOCDataset",
    "PotsdamDataset",
    "REFUGEDataset",
    "STAREDataset",
    "SynapseDataset",
    "iSAIDDataset",
]
