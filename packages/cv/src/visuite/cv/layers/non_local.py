"""Non-local blocks: each position gets a mean of all, weighed by how alike they are.

Shapes: B images, C channels, M channels inside, N positions, N' positions looked at; `...` stands for one, two or three
dimensions of positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.layers.conv_module import ConvModule
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]

_MODES = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")


class NonLocal(nn.Module):
    """The block for any number of dimensions (Wang et al., arXiv:1711.07971): `x + conv_out(pairwise(x) @ g(x))`.

    Names of parameters: g.conv, theta.conv, phi.conv (g.0.conv and phi.0.conv with `sub_sample`), conv_out.conv and, of
    the mode `concatenation`, concat_project.conv.

    Args:
        in_channels: C.
        reduction: C in M.
        use_scale: Divide the products of `embedded_gaussian` by the square root of M.
        sub_sample: Look at the maxima of squares of two pixels alone.
        conv_cfg: Config of the convolutions; by default the one of as many dimensions.
        norm_cfg: Config of the norm of the last convolution.
        mode: How alike two positions are. `gaussian`: softmax of products of x; `embedded_gaussian`: of products of
            theta(x) and phi(x); `dot_product`: these products over N'; `concatenation`: a learnt weighing of both.
        zeros_init: Begin as the identity.

    Raises:
        ValueError: an unknown mode.
    """

    _abbr_ = "nonlocal_block"
    conv_type: ClassVar[str]
    pooling: ClassVar[type[nn.Module]]

    def __init__(
        self,
        in_channels: int,
        reduction: int = 2,
        *,
        use_scale: bool = True,
        sub_sample: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        mode: str = "embedded_gaussian",
        zeros_init: bool = True,
    ) -> None:
        super().__init__()
        if mode not in _MODES:
            raise ValueError(f"the mode of a non-local block is one of {', '.join(_MODES)}, not {mode!r}")
        self.in_channels = in_channels
        self.inter_channels = max(in_channels // reduction, 1)
        self.use_scale = use_scale
        self.sub_sample = sub_sample
        self.mode = mode
        self.zeros_init = zeros_init
        conv = {"type": self.conv_type} if conv_cfg is None else conv_cfg
        inside: dict[str, Any] = {"kernel_size": 1, "conv_cfg": conv, "act_cfg": None}
        self.g: nn.Module = ConvModule(in_channels, self.inter_channels, **inside)
        self.conv_out = ConvModule(self.inter_channels, in_channels, norm_cfg=norm_cfg, **inside)
        if mode != "gaussian":
            self.theta = ConvModule(in_channels, self.inter_channels, **inside)
            self.phi: nn.Module = ConvModule(in_channels, self.inter_channels, **inside)
        if mode == "concatenation":
            self.concat_project = ConvModule(2 * self.inter_channels, 1, 1, bias=False)
        if sub_sample:
            self.g = nn.Sequential(self.g, self.pooling(2))
            self.phi = self.pooling(2) if mode == "gaussian" else nn.Sequential(self.phi, self.pooling(2))
        self.init_weights()

    def init_weights(self, std: float = 0.01) -> None:
        """Draw the weights small, those of the last layer as zeros if `zeros_init`."""
        for name, layer in self.named_modules():
            if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and not name.startswith("conv_out"):
                nn.init.normal_(layer.weight, std=std)
        last = self.conv_out.conv if self.conv_out.norm is None else self.conv_out.norm
        if self.zeros_init:
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
        else:
            nn.init.normal_(self.conv_out.conv.weight, std=std)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, ...) to the same shape."""
        seen = self.g(x).flatten(2)
        found = torch.matmul(self.pairwise(x), seen.transpose(1, 2))
        inside = found.transpose(1, 2).reshape(x.shape[0], self.inter_channels, *x.shape[2:])
        return x + self.conv_out(inside)

    def pairwise(self, x: torch.Tensor) -> torch.Tensor:
        """Return how much of each position every position takes: (B, C, ...) to (B, N, N')."""
        theta = x if self.mode == "gaussian" else self.theta(x)
        phi = self.phi(x) if hasattr(self, "phi") else x
        return self.weigh(theta.flatten(2).transpose(1, 2), phi.flatten(2))

    def weigh(self, theta: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
        """Return how alike positions are: (B, N, M) and (B, M, N') to (B, N, N')."""
        if self.mode == "concatenation":
            return self._concatenated(theta, phi)
        products = torch.matmul(theta, phi)
        if self.mode == "dot_product":
            return products / products.shape[-1]
        if self.mode == "embedded_gaussian" and self.use_scale:
            products = products / self.inter_channels**0.5
        return products.softmax(dim=-1)

    def _concatenated(self, theta: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
        """(B, N, M) and (B, M, N') to (B, N, N')."""
        rows, columns = theta.shape[1], phi.shape[2]
        both = (theta.transpose(1, 2)[..., None].expand(-1, -1, -1, columns), phi[:, :, None].expand(-1, -1, rows, -1))
        return self.concat_project(torch.cat(both, dim=1)).squeeze(1) / columns


@MODELS.register_module()
class NonLocal1d(NonLocal):
    """`NonLocal` of sequences (B, C, N)."""

    conv_type, pooling = "Conv1d", nn.MaxPool1d


@MODELS.register_module()
class NonLocal2d(NonLocal):
    """`NonLocal` of maps (B, C, H, W)."""

    conv_type, pooling = "Conv2d", nn.MaxPool2d


@MODELS.register_module()
class NonLocal3d(NonLocal):
    """`NonLocal` of volumes (B, C, T, H, W)."""

    conv_type, pooling = "Conv3d", nn.MaxPool3d
