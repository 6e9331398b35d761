"""Truth that is made of the map of classes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from visuite.engine.dataset.transform_base import BaseTransform
from visuite.seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GenerateEdge(BaseTransform):
    """Find where classes of `gt_seg_map` (H, W) meet; set `gt_edge_map` (H, W), 1 on edges and 0 elsewhere.

    Where a class meets ignored pixels is no edge.

    Args:
        edge_width: How wide edges are drawn, in pixels.
        ignore_index: The class that is no class.
    """

    def __init__(self, edge_width: int = 3, ignore_index: int = 255) -> None:
        self.edge_width = edge_width
        self.ignore_index = ignore_index

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw the edges."""
        seg_map = results["gt_seg_map"]
        edges = np.zeros(seg_map.shape, np.uint8)
        known = seg_map != self.ignore_index
        for rows, columns in ((0, 1), (1, 0), (1, 1)):  # the pixel to the right, below, and both
            h, w = seg_map.shape[0] - rows, seg_map.shape[1] - columns
            here, there = np.s_[:h, :w], np.s_[rows:, columns:]
            edges[here] |= (seg_map[here] != seg_map[there]) & known[here] & known[there]
        results["gt_edge_map"] = cv2.dilate(edges, np.ones((self.edge_width, self.edge_width), np.uint8))
        fields = results.setdefault("seg_fields", ["gt_seg_map"])
        if "gt_edge_map" not in fields:
            fields.append("gt_edge_map")
        return results
