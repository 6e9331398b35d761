"""The head of PSANet.

Shapes: B images, I channels of the map, C channels of features, h rows, w columns, m x n cells of a mask.

Names of parameters: reduce.conv, attention.0.conv, attention.1, and with both directions reduce_p, attention_p;
proj.conv, bottleneck.conv, conv_seg.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.ops import psa_mask
from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import resize, resize_like
from visuite.seg.registry import MODELS

_DIRECTIONS = {"collect": ("collect",), "distribute": ("distribute",), "bi-direction": ("collect", "distribute")}


@MODELS.register_module()
class PSAHead(BaseDecodeHead):
    """Point-wise spatial attention: masks around pixels say what they collect or hand out (Zhao et al., ECCV 2018).

    Args:
        mask_size: m and n.
        psa_type: `collect`, `distribute` or `bi-direction`, both.
        compact: Take the masks' cells for the pixels of the map as they are, where there are as many.
        shrink_factor: By how much the map is made smaller before.
        normalization_factor: Divides what was gathered; None is the number of cells.
        psa_softmax: Let the weights of each pixel add up to 1.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: an unknown `psa_type`.
    """

    def __init__(
        self,
        *,
        mask_size: int | tuple[int, int],
        psa_type: str = "bi-direction",
        compact: bool = False,
        shrink_factor: int = 2,
        normalization_factor: float | None = 1.0,
        psa_softmax: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if psa_type not in _DIRECTIONS:
            raise ValueError(f"psa_type is one of {', '.join(_DIRECTIONS)}, not {psa_type!r}")
        self.mask_size = _pair(mask_size)
        cells = self.mask_size[0] * self.mask_size[1]
        self.psa_type = psa_type
        self.compact = compact
        self.shrink_factor = shrink_factor
        self.normalization_factor = cells if normalization_factor is None else normalization_factor
        self.psa_softmax = psa_softmax
        self.reduce, self.attention = self._branch(cells)
        if psa_type == "bi-direction":
            self.reduce_p, self.attention_p = self._branch(cells)
        directions = len(_DIRECTIONS[psa_type])
        # Published weights are trained with a border of one pixel around this convolution's map.
        self.proj = self.conv(directions * self.channels, self.in_channels, padding=1)
        self.bottleneck = self.conv(2 * self.in_channels, self.channels, 3)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self._transform_inputs(inputs)
        size, align_corners = self._shrunk(x)
        branches = [(self.reduce, self.attention)]
        if self.psa_type == "bi-direction":
            branches.append((self.reduce_p, self.attention_p))
        found = []
        for direction, (reduce, attention) in zip(_DIRECTIONS[self.psa_type], branches, strict=True):
            small = reduce(x)
            if self.shrink_factor != 1:
                small = resize(small, size, align_corners=align_corners)
            found.append(self._gather(small, attention(small), direction))
        out = resize_like(self.proj(torch.cat(found, dim=1)), x, align_corners=align_corners)
        return self.bottleneck(torch.cat([x, out], dim=1))

    def _branch(self, cells: int) -> tuple[nn.Module, nn.Module]:
        attention = nn.Sequential(
            self.conv(self.channels, self.channels), nn.Conv2d(self.channels, cells, 1, bias=False)
        )
        return self.conv(self.in_channels, self.channels), attention

    def _shrunk(self, x: torch.Tensor) -> tuple[tuple[int, int], bool]:
        """Return the size of the smaller map, and how maps are resized to and from it."""
        height, width = x.shape[2:]
        factor = self.shrink_factor
        if factor == 1:
            return (height, width), self.align_corners
        if height % factor and width % factor:
            return ((height - 1) // factor + 1, (width - 1) // factor + 1), True
        return (height // factor, width // factor), False

    def _gather(self, x: torch.Tensor, masks: torch.Tensor, direction: str) -> torch.Tensor:
        """Features (B, C, h, w) and masks (B, m * n, h, w) to what each pixel gets, (B, C, h, w)."""
        if not self.compact:
            weights = psa_mask(masks, direction, self.mask_size).flatten(2)
        else:
            weights = masks.flatten(2)  # of the pixels that each pixel looks at
            weights = weights.transpose(1, 2) if direction == "distribute" else weights
        if self.psa_softmax:
            weights = weights.softmax(dim=1)
        return (x.flatten(2) @ weights).unflatten(2, x.shape[2:]) / self.normalization_factor
