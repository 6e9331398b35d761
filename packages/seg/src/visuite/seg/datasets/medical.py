"""The inside of eyes and bodies."""

from __future__ import annotations

from typing import Any, ClassVar

from visuite.seg.datasets.base import SuffixDataset
from visuite.seg.datasets.names import SYNAPSE_CLASSES, SYNAPSE_PALETTE
from visuite.seg.registry import DATASETS

_VESSELS: dict[str, Any] = {"classes": ("background", "vessel"), "palette": [(120, 120, 120), (6, 230, 230)]}


@DATASETS.register_module()
class DRIVEDataset(SuffixDataset):
    """Vessels of the retina. Staal et al., IEEE TMI, 2004."""

    METAINFO: ClassVar[dict[str, Any]] = _VESSELS
    SEG_MAP_SUFFIX = "_manual1.png"


@DATASETS.register_module()
class STAREDataset(SuffixDataset):
    """Vessels of the retina. Hoover et al., IEEE TMI, 2000."""

    METAINFO: ClassVar[dict[str, Any]] = _VESSELS
    SEG_MAP_SUFFIX = ".ah.png"


@DATASETS.register_module()
class ChaseDB1Dataset(SuffixDataset):
    """Vessels of the retina of children. Fraz et al., IEEE TBME, 2012."""

    METAINFO: ClassVar[dict[str, Any]] = _VESSELS
    SEG_MAP_SUFFIX = "_1stHO.png"


@DATASETS.register_module()
class HRFDataset(SuffixDataset):
    """Vessels of the retina in high resolution. Budai et al., 2013."""

    METAINFO: ClassVar[dict[str, Any]] = _VESSELS


@DATASETS.register_module()
class REFUGEDataset(SuffixDataset):
    """Optic cup and disc. Orlando et al., arXiv:1910.03667."""

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": ("background", "Optic Cup", "Optic Disc"),
        "palette": [(120, 120, 120), (6, 230, 230), (56, 59, 120)],
    }


@DATASETS.register_module()
class SynapseDataset(SuffixDataset):
    """8 organs of the abdomen, and the background, in slices of computed tomography. Landman et al., 2015."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": SYNAPSE_CLASSES, "palette": SYNAPSE_PALETTE}
    IMG_SUFFIX = ".jpg"
