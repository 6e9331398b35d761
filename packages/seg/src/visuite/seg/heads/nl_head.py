"""The heads of non-local networks, plain and disentangled.

Shapes: B images, C channels of features, M channels inside, h rows, w columns, N = h * w.

Names of parameters: those of `FCNHead`, and nl_block.{g,theta,phi,conv_out}.conv; or dnl_block with the same and
conv_mask.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.layers import NonLocal2d
from visuite.seg.heads.fcn_head import FCNHead
from visuite.seg.registry import MODELS


@MODELS.register_module()
class NLHead(FCNHead):
    """Attention of each pixel to all (Wang et al., arXiv:1711.07971).

    Args:
        reduction: C in M; see `NonLocal`, as the next two.
        use_scale: See there.
        mode: See there.
        **kwargs: As of `FCNHead`.
    """

    def __init__(
        self, *, reduction: int = 2, use_scale: bool = True, mode: str = "embedded_gaussian", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.nl_block = NonLocal2d(
            self.channels,
            reduction,
            use_scale=use_scale,
            conv_cfg=self.options.conv_cfg,
            norm_cfg=self.options.norm_cfg,
            mode=mode,
        )

    def context(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return self.nl_block(x)


class DisentangledNonLocal2d(NonLocal2d):
    """`NonLocal2d` of queries and keys without their means, and a mean of all that is the same for each pixel.

    Args:
        in_channels: C.
        temperature: Divides the products.
        **kwargs: As of `NonLocal`.
    """

    def __init__(self, in_channels: int, *, temperature: float, **kwargs: Any) -> None:
        super().__init__(in_channels, **kwargs)
        self.temperature = temperature
        self.conv_mask = nn.Conv2d(in_channels, 1, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        seen = self.g(x).flatten(2)  # (B, M, N)
        found = (self.pairwise(x) @ seen.transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
        share = self.conv_mask(x).flatten(2).softmax(dim=-1)
        everywhere = (seen @ share.transpose(1, 2)).unsqueeze(3)  # (B, M, 1, 1)
        return x + self.conv_out(found + everywhere)

    def weigh(self, theta: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
        """Return how alike positions are: (B, N, M) and (B, M, N) to (B, N, N)."""
        theta, phi = theta - theta.mean(1, keepdim=True), phi - phi.mean(2, keepdim=True)
        return super().weigh(theta / self.temperature if self.mode == "embedded_gaussian" else theta, phi)


@MODELS.register_module()
class DNLHead(FCNHead):
    """Attention of each pixel to all, and, apart from it, to what matters everywhere (Yin et al., arXiv:2006.06668).

    Args:
        reduction: C in M; see `NonLocal`, as the next two.
        use_scale: See there.
        mode: See there.
        temperature: Divides the products of queries and keys.
        **kwargs: As of `FCNHead`.
    """

    def __init__(
        self,
        *,
        reduction: int = 2,
        use_scale: bool = True,
        mode: str = "embedded_gaussian",
        temperature: float = 0.05,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dnl_block = DisentangledNonLocal2d(
            self.channels,
            temperature=temperature,
            reduction=reduction,
            use_scale=use_scale,
            conv_cfg=self.options.conv_cfg,
            norm_cfg=self.options.norm_cfg,
            mode=mode,
        )

    def context(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return self.dnl_block(x)
