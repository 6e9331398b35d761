"""Batch norms folded into the convolutions before them, for models that only predict."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from visuite.cv.layers.adaptive_padding import Conv2dAdaptivePadding
from visuite.cv.layers.conv_module import ConvModule
from visuite.cv.layers.reparam import fold_norm

#: Kinds whose output is linear in `weight` and `bias` as they stand; others work on their weight first.
_LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv2dAdaptivePadding)


@torch.no_grad()
def fuse_conv_bn(module: nn.Module) -> nn.Module:
    """Return the module, changed: each convolution holds the batch norm behind it, in whose place an identity stands.

    A batch norm counts as behind a convolution where a `ConvModule` says so, or where a module bears the two one after
    the other, with as many channels. What is left alone: convolutions that work on their weight first (`ConvWS`,
    spectral norms, deformable ones), and norms without running statistics. A convolution that stands in several
    places, each with a norm of its own, becomes as many. The result predicts the same, and must not be trained.

    Args:
        module: A model, or a part of one.
    """
    for part in list(module.modules()):
        if isinstance(part, ConvModule):
            if part.norm_name is not None and part.order.index("norm") == part.order.index("conv") + 1:
                _fuse(part, "conv", part.norm_name)
            continue
        for name, behind in pairwise(list(part._modules)):
            _fuse(part, name, behind)
    return module


def _fuse(parent: nn.Module, conv_name: str, norm_name: str) -> None:
    """Fold one norm into one convolution, if they are such."""
    conv, norm = getattr(parent, conv_name), getattr(parent, norm_name)
    if not (_is_linear(conv) and _is_still(norm) and norm.num_features == conv.out_channels):
        return
    fused = copy.deepcopy(conv)
    kernel, bias = fold_norm(conv.weight, norm, conv.bias)
    fused.weight = nn.Parameter(kernel, requires_grad=False)
    fused.bias = nn.Parameter(bias, requires_grad=False)
    setattr(parent, conv_name, fused)
    setattr(parent, norm_name, nn.Identity())


def _is_linear(layer: Any) -> bool:
    return type(layer) in _LINEAR and not layer._forward_pre_hooks and not hasattr(layer, "parametrizations")


def _is_still(layer: Any) -> TypeGuard[_BatchNorm]:
    return isinstance(layer, _BatchNorm) and layer.running_mean is not None
