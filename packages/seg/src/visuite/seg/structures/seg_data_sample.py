"""What a segmentor learns from and says about one image."""

from __future__ import annotations

from visuite.engine.structures import BaseDataElement, PixelData, typed_field


class SegDataSample(BaseDataElement):
    """One image's truth and prediction; each field is a `PixelData` with one map, `data`.

    Fields:
        gt_sem_seg: The true class of each pixel (1, H, W) long; what counts for nothing has the `ignore_index`.
        gt_edge_map: Which pixels lie on edges between classes (1, H, W); models with a branch for edges learn from it.
        gt_depth_map: The true depth of each pixel (1, H, W) float.
        pred_sem_seg: The predicted class of each pixel (1, H, W) long.
        seg_logits: The scores of the K classes before the softmax or sigmoid (K, H, W).
        pred_depth_map: The predicted depth of each pixel (1, H, W) float.

    Raises:
        TypeError: a field is set to anything but a `PixelData`.
    """

    gt_sem_seg = typed_field("gt_sem_seg", PixelData)
    gt_edge_map = typed_field("gt_edge_map", PixelData)
    gt_depth_map = typed_field("gt_depth_map", PixelData)
    pred_sem_seg = typed_field("pred_sem_seg", PixelData)
    seg_logits = typed_field("seg_logits", PixelData)
    pred_depth_map = typed_field("pred_depth_map", PixelData)
