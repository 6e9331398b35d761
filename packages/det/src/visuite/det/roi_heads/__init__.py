"""Heads for regions: what lies in each proposal."""

from visuite.det.roi_heads.bbox_head import BBoxHead
from visuite.det.roi_heads.cascade_roi_head import CascadeRoIHead
from visuite.det.roi_heads.extractor import SingleRoIExtractor
from visuite.det.roi_heads.fcn_mask_head import FCNMaskHead
from visuite.det.roi_heads.paste import paste_masks
from visuite.det.roi_heads.regions import bbox2roi, multiclass_nms, sample_regions
from visuite.det.roi_heads.res_layer import ResLayer
from visuite.det.roi_heads.standard_roi_head import StandardRoIHead

__all__ = [
    "BBoxHead",
    "CascadeRoIHead",
    "FCNMaskHead",
    "ResLayer",
    "SingleRoIExtractor",
    "StandardRoIHead",
    "bbox2roi",
    "multiclass_nms",
    "paste_masks",
    "sample_regions",
]
