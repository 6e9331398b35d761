"""Features at points (Kirillov et al., PointRend, arXiv:1912.08193).

Points are (x, y). Relative ones are in [0, 1] of a region or an image, absolute ones in pixels of the image.
Shapes: B images, C channels, H rows, W columns, P points, K regions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.ops.boxes import full_precision
from visuite.engine.registry import MODELS


def point_sample(input: torch.Tensor, points: torch.Tensor, align_corners: bool = False, **kwargs: Any) -> torch.Tensor:
    """Interpolate features at points.

    Args:
        input: Features (B, C, H, W).
        points: Relative to the image, (B, P, 2), or on a grid, (B, h, w, 2).
        align_corners: Whether 0 and 1 are the centres of the outer pixels, or their edges.
        **kwargs: `mode` and `padding_mode` of `torch.nn.functional.grid_sample`.

    Returns:
        (B, C, P), or (B, C, h, w); of the features' type. Half-precision features are read in float32.

    Raises:
        ValueError: points of another shape.
    """
    if points.ndim not in (3, 4) or points.shape[-1] != 2:
        raise ValueError(f"points have shape (B, P, 2) or (B, h, w, 2), not {tuple(points.shape)}")
    features = full_precision(input)
    grid = points.to(features.dtype) * 2 - 1
    flat = points.ndim == 3
    grid = grid.unsqueeze(1) if flat else grid  # one long row: the sampler is fast along rows
    sampled = F.grid_sample(features, grid, align_corners=align_corners, **kwargs)
    return (sampled.squeeze(2) if flat else sampled).to(input.dtype)


@torch.no_grad()
def uncertain_points(
    scores: torch.Tensor,
    uncertainty: Callable[[torch.Tensor], torch.Tensor],
    *,
    num_points: int,
    oversample_ratio: float,
    importance_sample_ratio: float,
) -> torch.Tensor:
    """Draw points to learn from, most of them where scores are in doubt.

    Args:
        scores: (B, C, H, W).
        uncertainty: Scores at points (B, C, P) to how doubtful they are, (B, P).
        num_points: P.
        oversample_ratio: Among how many points the doubtful ones are sought, in P.
        importance_sample_ratio: The share of doubtful ones; the others are drawn evenly.

    Returns:
        Points relative to the image, (B, P, 2).

    Raises:
        ValueError: ratios that leave too few points to choose from.
    """
    doubtful = int(importance_sample_ratio * num_points)
    if oversample_ratio < 1 or not 0 <= importance_sample_ratio <= 1:
        raise ValueError(
            f"oversample_ratio is at least 1 and importance_sample_ratio in [0, 1], not {oversample_ratio} and "
            f"{importance_sample_ratio}"
        )
    batch = len(scores)
    points = torch.rand(batch, int(num_points * oversample_ratio), 2, device=scores.device)
    chosen = uncertainty(point_sample(scores, points)).topk(doubtful, dim=1).indices
    doubted = points.gather(1, chosen[..., None].expand(-1, -1, 2))
    return torch.cat([doubted, torch.rand(batch, num_points - doubtful, 2, device=scores.device)], dim=1)


def generate_grid(
    num_grid: int,
    size: int | tuple[int, int],
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Return the centres of the h x w bins of a unit square, row by row, `num_grid` times: (num_grid, h * w, 2)."""
    height, width = _pair(size)
    y = (torch.arange(height, device=device, dtype=dtype) + 0.5) / height
    x = (torch.arange(width, device=device, dtype=dtype) + 0.5) / width
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((columns, rows), dim=-1).reshape(1, height * width, 2).expand(num_grid, -1, -1)


def rel_roi_point_to_abs_img_point(rois: torch.Tensor, rel_roi_points: torch.Tensor) -> torch.Tensor:
    """Move points of regions into the image.

    Args:
        rois: Regions (K, 4) `xyxy`, or (K, 5) with the image's index before that.
        rel_roi_points: Relative to the regions, (K, P, 2).

    Returns:
        Pixels of the image, (K, P, 2).

    Raises:
        ValueError: regions of another shape.
    """
    if rois.ndim != 2 or rois.shape[1] not in (4, 5):
        raise ValueError(f"rois have shape (K, 4) or (K, 5), not {tuple(rois.shape)}")
    first, last = full_precision(rois)[:, None, -4:].chunk(2, dim=-1)
    return first + rel_roi_points * (last - first)


def abs_img_point_to_rel_img_point(
    abs_img_points: torch.Tensor, img: tuple[int, int] | torch.Tensor, spatial_scale: float = 1.0
) -> torch.Tensor:
    """Turn pixels into parts of the image.

    Args:
        abs_img_points: (K, P, 2) in pixels of the image.
        img: (H, W) of the features, or the features (B, C, H, W) themselves.
        spatial_scale: Pixels of the features per pixel of the image.

    Returns:
        (K, P, 2), which may leave [0, 1].
    """
    height, width = img if isinstance(img, (tuple, list)) else img.shape[-2:]
    return abs_img_points * spatial_scale / abs_img_points.new_tensor([width, height])


def rel_roi_point_to_rel_img_point(
    rois: torch.Tensor,
    rel_roi_points: torch.Tensor,
    img: tuple[int, int] | torch.Tensor,
    spatial_scale: float = 1.0,
) -> torch.Tensor:
    """Turn points relative to regions into points relative to the image; shapes as of the two steps it is made of."""
    points = rel_roi_point_to_abs_img_point(rois, rel_roi_points)
    return abs_img_point_to_rel_img_point(points, img, spatial_scale)


@MODELS.register_module()
class SimpleRoIAlign(nn.Module):
    """Read one point in the middle of each bin of a region; PointRend's coarse head uses it instead of `RoIAlign`.

    Args:
        output_size: Bins (h, w) of a region.
        spatial_scale: Pixels of the features per pixel of the image.
        aligned: Whether pixels' centres lie at half or at whole coordinates.
    """

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float, aligned: bool = True) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.aligned = aligned

    def forward(self, features: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        """Features (B, C, H, W) and regions (K, 5) to (K, C, h, w)."""
        grid = generate_grid(len(rois), self.output_size, rois.device, full_precision(rois).dtype)
        points = rel_roi_point_to_rel_img_point(rois, grid, features, self.spatial_scale)
        own = features.new_zeros(len(rois), features.shape[1], grid.shape[1])
        for image in range(features.shape[0]):
            members = torch.where(rois[:, 0].long() == image)[0]
            sampled = point_sample(features[image][None], points[members][None], not self.aligned)
            own = own.index_copy(0, members, sampled[0].transpose(0, 1))
        return own.unflatten(2, self.output_size)

    def extra_repr(self) -> str:
        """The settings."""
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, aligned={self.aligned}"
