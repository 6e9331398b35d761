"""Means of a fixed number of cells.

Shapes: B images, C channels, H rows, W columns, s cells in each direction.
"""

from __future__ import annotations

import torch
from torch import nn


class CellPooling(nn.Module):
    """`torch.nn.AdaptiveAvgPool2d` as two products, which exported models do right for images of any size.

    Cell i of s covers the rows from floor(i H / s) to ceil((i + 1) H / s), and columns likewise.

    Args:
        cells: s.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, s, s)."""
        if self.cells == 1:
            return x.mean((2, 3), keepdim=True)
        return self._shares(x, 2) @ x @ self._shares(x, 3).T

    def _shares(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """Return how much of each cell a row, or column, makes: (s, H) or (s, W)."""
        size, cells = x.shape[axis], self.cells
        place = torch.arange(size, device=x.device)
        cell = torch.arange(cells, device=x.device)[:, None]
        inside = ((place + 1) * cells > cell * size) & (place * cells < (cell + 1) * size)
        shares = inside.to(torch.float32)
        return (shares / shares.sum(1, keepdim=True)).to(x.dtype)

    def extra_repr(self) -> str:
        """The number of cells."""
        return f"cells={self.cells}"
