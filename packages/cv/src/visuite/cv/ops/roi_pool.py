"""RoIPool: the largest feature of each bin of a region (Girshick, Fast R-CNN, arXiv:1504.08083).

Shapes: B images, C channels, H rows, W columns; K regions of h x w bins.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.kernels import kernels
from visuite.engine.registry import MODELS


def roi_pool(
    input: torch.Tensor, rois: torch.Tensor, output_size: int | tuple[int, int], spatial_scale: float = 1.0
) -> torch.Tensor:
    """Take the largest feature of each bin; corners are rounded to pixels, and empty bins are 0.

    Args:
        input: Features (B, C, H, W).
        rois: Regions (K, 5): the image's index, then `xyxy` in pixels of the image.
        output_size: Bins (h, w) of a region.
        spatial_scale: Pixels of the features per pixel of the image.

    Returns:
        (K, C, h, w).

    Raises:
        ValueError: `rois` are not (K, 5).
    """
    if rois.ndim != 2 or rois.shape[1] != 5:
        raise ValueError(f"rois have shape (K, 5), an image's index and a box, not {tuple(rois.shape)}")
    features, size = full_precision(input), _pair(output_size)
    rois = rois.to(features.dtype)
    if torch.onnx.is_in_onnx_export():
        return _exported(features, rois, size, spatial_scale).to(input.dtype)
    return kernels().roi_pool(features, rois, size, spatial_scale).to(input.dtype)


def _exported(features: torch.Tensor, rois: torch.Tensor, size: tuple[int, int], scale: float) -> torch.Tensor:
    """Name ONNX's own operator, which the exporter does not find for torchvision's."""
    shape = (rois.shape[0], features.shape[1], *size)
    attributes: dict[str, Any] = {"pooled_shape": list(size), "spatial_scale": float(scale)}
    return torch.onnx.ops.symbolic("MaxRoiPool", (features, rois), attributes, dtype=features.dtype, shape=shape)


@MODELS.register_module()
class RoIPool(nn.Module):
    """The layer of `roi_pool`.

    Args:
        output_size: Bins (h, w) of a region.
        spatial_scale: Pixels of the features per pixel of the image.
    """

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float = 1.0) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)

    def forward(self, input: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        """Features (B, C, H, W) and regions (K, 5) to (K, C, h, w)."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        """The settings."""
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"
