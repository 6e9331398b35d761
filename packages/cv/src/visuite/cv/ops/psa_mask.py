"""The masks of point-wise spatial attention (Zhao et al., PSANet, ECCV 2018).

Shapes: B images, H rows, W columns; a mask of h x w cells around each pixel, whose cell is (h - 1) // 2, (w - 1) // 2.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.engine.registry import MODELS

PSA_TYPES = ("collect", "distribute")


def psa_mask(input: torch.Tensor, psa_type: str, mask_size: int | tuple[int, int]) -> torch.Tensor:
    """Lay each pixel's mask, centred on it, over the map; what reaches beyond the map is lost, what it misses is 0.

    Args:
        input: (B, h * w, H, W), each pixel's mask as channels.
        psa_type: `collect`: the channels of the result are the pixels that a pixel's mask looks at.
            `distribute`: they are the pixels whose masks look at it.
        mask_size: (h, w).

    Returns:
        (B, H * W, H, W).

    Raises:
        ValueError: an unknown type, or channels that are not h * w.
    """
    height, width = _check(psa_type, mask_size)
    if input.ndim != 4 or input.shape[1] != height * width:
        raise ValueError(
            f"masks of {height} x {width} have shape (B, {height * width}, H, W), not {tuple(input.shape)}"
        )
    rows, columns = input.shape[2:]
    cell, inside = _cells(rows, columns, height, width, input.device)
    masks = input.flatten(2)
    laid = torch.where(inside, masks.gather(1, cell.expand(masks.shape[0], -1, -1)), 0)
    if psa_type == "distribute":
        laid = laid.transpose(1, 2)
    return laid.unflatten(2, (rows, columns))


def _check(psa_type: str, mask_size: int | tuple[int, int]) -> tuple[int, int]:
    if psa_type not in PSA_TYPES:
        raise ValueError(f"psa_type {psa_type!r} is none of {PSA_TYPES}")
    return _pair(mask_size)


def _cells(rows: int, columns: int, height: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tell for each pair (seen pixel, pixel with a mask) the mask's cell, and whether there is one: (H * W, H * W)."""
    row = torch.arange(rows, device=device)
    column = torch.arange(columns, device=device)
    down = (row[:, None] - row + (height - 1) // 2)[:, None, :, None]
    right = (column[:, None] - column + (width - 1) // 2)[None, :, None, :]
    inside = (down >= 0) & (down < height) & (right >= 0) & (right < width)
    cell = torch.where(inside, down * width + right, 0)
    shape = (rows * columns, rows * columns)
    return cell.reshape(shape), inside.reshape(shape)


@MODELS.register_module()
class PSAMask(nn.Module):
    """The layer of `psa_mask`.

    Args:
        psa_type: `collect` or `distribute`.
        mask_size: (h, w).

    Raises:
        ValueError: an unknown type.
    """

    def __init__(self, psa_type: str, mask_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.mask_size = _check(psa_type, mask_size)
        self.psa_type = psa_type

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, h * w, H, W) to (B, H * W, H, W)."""
        return psa_mask(input, self.psa_type, self.mask_size)

    def extra_repr(self) -> str:
        """The settings."""
        return f"psa_type={self.psa_type!r}, mask_size={self.mask_size}"
