"""RoIAlign: features of regions, read by bilinear interpolation (He et al., Mask R-CNN, arXiv:1703.06870).

Shapes: B images, C channels, H rows, W columns; K regions of h x w bins.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.kernels import kernels
from visuite.engine.registry import MODELS

POOL_MODES = ("avg", "max")


def roi_align(
    input: torch.Tensor,
    rois: torch.Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    pool_mode: str = "avg",
    aligned: bool = True,
) -> torch.Tensor:
    """Read the features of regions.

    Half-precision features are read in float32, since neither coordinates nor sums fit, and returned as they came.

    Args:
        input: Features (B, C, H, W).
        rois: Regions (K, 5): the image's index, then `xyxy` in pixels of the image.
        output_size: Bins (h, w) of a region.
        spatial_scale: Pixels of the features per pixel of the image.
        sampling_ratio: Points per bin and direction; 0 takes as many as a bin is pixels wide, rounded up.
        pool_mode: What becomes of a bin's points: `avg` or `max`.
        aligned: Pixels' centres lie at half; if not, at whole coordinates, and regions are at least one pixel large.

    Returns:
        (K, C, h, w).

    Raises:
        ValueError: an unknown `pool_mode`, or `rois` that are not (K, 5).
    """
    _check_mode(pool_mode)
    if rois.ndim != 2 or rois.shape[1] != 5:
        raise ValueError(f"rois have shape (K, 5), an image's index and a box, not {tuple(rois.shape)}")
    features = full_precision(input)
    rois, size = rois.to(features.dtype), _pair(output_size)
    if pool_mode == "avg":
        out = kernels().roi_align(features, rois, size, spatial_scale, sampling_ratio, aligned)
    elif sampling_ratio > 0:
        out = _largest(features, rois, size, spatial_scale, (sampling_ratio, sampling_ratio), aligned)
    else:
        out = _largest_adaptive(features, rois, size, spatial_scale, aligned)
    return out.to(input.dtype)


def _check_mode(pool_mode: str) -> None:
    if pool_mode not in POOL_MODES:
        raise ValueError(f"pool_mode {pool_mode!r} is none of {POOL_MODES}")


def _largest(
    features: torch.Tensor,
    rois: torch.Tensor,
    size: tuple[int, int],
    scale: float,
    points: tuple[int, int],
    aligned: bool,
) -> torch.Tensor:
    """Read every point as a bin of its own, and take the largest of each (points) block."""
    fine = (size[0] * points[0], size[1] * points[1])
    return F.max_pool2d(kernels().roi_align(features, rois, fine, scale, 1, aligned), points)


def _largest_adaptive(
    features: torch.Tensor, rois: torch.Tensor, size: tuple[int, int], scale: float, aligned: bool
) -> torch.Tensor:
    """Group the regions by how many points their bins need."""
    extent = (rois[:, [4, 3]] - rois[:, [2, 1]]) * scale
    if not aligned:
        extent = extent.clamp(min=1)
    points = (extent / extent.new_tensor(size)).ceil().clamp(min=1).long()
    out = features.new_zeros(len(rois), features.shape[1], *size)
    for group in points.unique(dim=0) if len(rois) else points.new_ones(1, 2):
        members = torch.where((points == group).all(dim=1))[0]
        pooled = _largest(features, rois[members], size, scale, tuple(group.tolist()), aligned)
        out = out.index_copy(0, members, pooled)
    return out


@MODELS.register_module()
class RoIAlign(nn.Module):
    """The layer of `roi_align`.

    Args:
        output_size: Bins (h, w) of a region.
        spatial_scale: Pixels of the features per pixel of the image.
        sampling_ratio: See `roi_align`, as the rest.
        pool_mode: See there.
        aligned: See there.
        use_torchvision: Without effect: torchvision's operator is always the one underneath.
    """

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = "avg",
        aligned: bool = True,
        use_torchvision: bool = False,
    ) -> None:
        super().__init__()
        _check_mode(pool_mode)
        self.pool_mode, self.aligned, self.use_torchvision = pool_mode, aligned, use_torchvision
        self.output_size, self.spatial_scale, self.sampling_ratio = _pair(output_size), spatial_scale, sampling_ratio

    def forward(self, input: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        """Features (B, C, H, W) and regions (K, 5) to (K, C, h, w)."""
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.pool_mode, self.aligned
        )

    def extra_repr(self) -> str:
        """The settings."""
        names = ("output_size", "spatial_scale", "sampling_ratio", "pool_mode", "aligned")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
