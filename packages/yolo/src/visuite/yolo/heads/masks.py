"""What heads with masks share: which masks a batch has, and where the pixels of a result lie on a map.

Shapes: N objects, H rows and W columns of a map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from visuite.det.heads.dense import Meta


def places_of_pixels(size: Sequence[int], edges: Sequence[float], meta: Meta, *, device: torch.device) -> torch.Tensor:
    """Return where the pixels (H, W) of a result lie on a map of the whole input, which reaches from -1 to 1:
    (1, H, W, 2), as `grid_sample` takes them.

    Args:
        size: H and W of the result.
        edges: Height and width of the map, in pixels of the input.
        meta: `scale_factor` and `pad_param`, if the result is not of the size of the input.
        device: Of what is returned.
    """
    across, down = tuple(meta.get("scale_factor") or (1.0, 1.0))[:2]
    pads = meta.get("pad_param")
    top, left = (0.0, 0.0) if pads is None else (float(pads[0]), float(pads[2]))
    x = (torch.arange(size[1], device=device) + 0.5) * across + left
    y = (torch.arange(size[0], device=device) + 0.5) * down + top
    rows, columns = torch.meshgrid(2 * y / edges[0] - 1, 2 * x / edges[1] - 1, indexing="ij")
    return torch.stack([columns, rows], dim=-1)[None]


def is_stack(masks: torch.Tensor) -> bool:
    """Tell whether masks are one for each object, and not a map of all objects' numbers for each image."""
    return masks.dtype is torch.bool


def pixels_inside(boxes: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Tell which pixels of a map (H, W) have their middle inside of boxes (..., 4): (..., H, W)."""
    x1, y1, x2, y2 = boxes[..., None].unbind(-2)
    y, x = (torch.arange(edge, device=boxes.device) + 0.5 for edge in size)
    rows, columns = (y >= y1) & (y < y2), (x >= x1) & (x < x2)
    return rows[..., :, None] & columns[..., None, :]
