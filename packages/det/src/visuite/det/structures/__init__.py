"""What transforms, models and metrics of detection hand to one another."""

from visuite.cv.masks import BitmapMasks, PolygonMasks
from visuite.det.structures.boxes import box_tensor
from visuite.det.structures.det_data_sample import DetDataSample
from visuite.det.structures.frames import in_file_frame
from visuite.det.structures.ground_truth import unpack_gt_instances
from visuite.det.structures.masks import mask_array

__all__ = [
    "BitmapMasks",
    "DetDataSample",
    "PolygonMasks",
    "box_tensor",
    "in_file_frame",
    "mask_array",
    "unpack_gt_instances",
]
