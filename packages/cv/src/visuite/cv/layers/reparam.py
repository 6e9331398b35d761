"""Branches to train with that become one convolution to predict with.

Shapes: B images, C channels in, K channels out, H rows, W columns, s stride, G groups.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from visuite.cv.layers.activation import build_activation_layer
from visuite.cv.layers.conv import build_conv_layer
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.recompute import recompute
from visuite.cv.layers.se_layer import SELayer

Cfg = Mapping[str, Any]


def fold_norm(
    kernel: torch.Tensor, norm: nn.Module, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kernel (K, C / G, ...) and bias (K,) that do what a convolution and the batch norm behind it do.

    Args:
        kernel: Of the convolution, of any number of dimensions.
        norm: The batch norm.
        bias: Of the convolution, (K,).

    Raises:
        TypeError: the norm is no batch norm with statistics, so it is no convolution.
    """
    if not isinstance(norm, _BatchNorm) or norm.running_var is None or norm.running_mean is None:
        raise TypeError(f"only a batch norm with running statistics can be folded, not {type(norm).__name__}")
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    folded = (-norm.running_mean if bias is None else bias - norm.running_mean) * scale
    kernel = kernel * scale.view(-1, *(1,) * (kernel.ndim - 1))
    return kernel, folded if norm.bias is None else folded + norm.bias


def switch_to_deploy(model: nn.Module) -> nn.Module:
    """Return the model, changed: all parts that train with branches become what they predict with, for good."""
    for part in list(model.modules()):
        switch = getattr(part, "switch_to_deploy", None)
        if callable(switch):
            switch()
    return model


def identity_kernel(channels: int, groups: int = 1, *, like: torch.Tensor) -> torch.Tensor:
    """Return the 1x1 kernel (channels, channels / groups, 1, 1) that changes nothing."""
    one = torch.eye(channels // groups, dtype=like.dtype, device=like.device)
    return one.repeat(groups, 1)[:, :, None, None]


def add_convolutions(branches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kernel (K, C / G, h, w) and bias (K,) of the convolution that gives the sum of several.

    Args:
        branches: Kernel and bias of each. Smaller kernels, of odd sides as all, lie in the middle of the largest one.
    """
    kernels, biases = zip(*branches, strict=True)
    height, width = (max(kernel.shape[dim] for kernel in kernels) for dim in (2, 3))

    def at_full_size(kernel: torch.Tensor) -> torch.Tensor:
        rows, columns = (height - kernel.shape[2]) // 2, (width - kernel.shape[3]) // 2
        return F.pad(kernel, (columns, columns, rows, rows))

    return torch.stack([at_full_size(kernel) for kernel in kernels]).sum(0), torch.stack(biases).sum(0)


def _folded(branch: nn.Sequential) -> tuple[torch.Tensor, torch.Tensor]:
    conv: Any = branch.conv
    norm: Any = branch.norm
    return fold_norm(conv.weight, norm)


class RepVGGBlock(nn.Module):
    """A 3x3 and a 1x1 convolution and, where the shape stays, the input itself, each normed, added and activated.

    `switch_to_deploy` makes one 3x3 convolution of them (Ding et al., arXiv:2101.03697). Names of parameters:
    branch_3x3.conv, branch_3x3.norm, branch_1x1.conv, branch_1x1.norm, branch_norm; then branch_reparam.

    Args:
        in_channels: C.
        out_channels: K.
        stride: s.
        padding: Of the 3x3 convolution.
        dilation: Of the 3x3 convolution; it is the padding that keeps the shape.
        groups: G.
        se_cfg: Arguments of `SELayer` before the activation; None is none.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activation.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        deploy: Begin as the one convolution.

    Raises:
        ValueError: a padding that tears the branches apart.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 1,
        groups: int = 1,
        se_cfg: Cfg | None = None,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006
        with_cp: bool = False,
        deploy: bool = False,
    ) -> None:
        super().__init__()
        if padding != dilation:
            raise ValueError(f"the 3x3 and the 1x1 branch give unlike maps with padding {padding}, dilation {dilation}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.with_cp, self.deploy = with_cp, deploy
        self.conv_cfg = None if conv_cfg is None else dict(conv_cfg)
        self.shape = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        if deploy:
            self.branch_reparam = self._conv(3, bias=True, **self.shape)
        else:
            if out_channels == in_channels and stride == 1:
                self.branch_norm = build_norm_layer(dict(norm_cfg), in_channels)[1]
            self.branch_3x3 = self._branch(norm_cfg, 3, **self.shape)
            self.branch_1x1 = self._branch(norm_cfg, 1, stride=stride, groups=groups)
        if se_cfg is not None:
            self.se_layer = SELayer(**{"channels": out_channels, **se_cfg})
        self.act = build_activation_layer(dict(act_cfg))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / s, W / s)."""
        return self.act(recompute(self._sum, x, enabled=self.with_cp))

    def _sum(self, x: torch.Tensor) -> torch.Tensor:
        if self.deploy:
            out = self.branch_reparam(x)
        else:
            out = self.branch_3x3(x) + self.branch_1x1(x)
            if hasattr(self, "branch_norm"):
                out = out + self.branch_norm(x)
        return self.se_layer(out) if hasattr(self, "se_layer") else out

    @torch.no_grad()
    def switch_to_deploy(self) -> None:
        """Become one convolution that gives what the branches give when they do not train; a second call does nothing.

        Raises:
            TypeError: the norms are no batch norms.
        """
        if self.deploy:
            return
        branches = [_folded(self.branch_3x3), _folded(self.branch_1x1)]
        if hasattr(self, "branch_norm"):
            identity = identity_kernel(self.in_channels, self.groups, like=branches[0][0])
            branches.append(fold_norm(identity, self.branch_norm))
        kernel, bias = add_convolutions(branches)
        self.branch_reparam = self._conv(3, bias=True, **self.shape).to(kernel)
        self.branch_reparam.weight.copy_(kernel)
        self.branch_reparam.bias.copy_(bias)
        for name in ("branch_norm", "branch_3x3", "branch_1x1"):
            if hasattr(self, name):
                delattr(self, name)
        self.deploy = True

    def _branch(self, norm_cfg: Cfg, kernel_size: int, **shape: Any) -> nn.Sequential:
        conv = self._conv(kernel_size, bias=False, **shape)
        return nn.Sequential(OrderedDict(conv=conv, norm=build_norm_layer(dict(norm_cfg), self.out_channels)[1]))

    def _conv(self, kernel_size: int, **arguments: Any) -> Any:
        return build_conv_layer(self.conv_cfg, self.in_channels, self.out_channels, kernel_size, **arguments)
