"""Batch norm that takes its statistics over all ranks, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


class AnyDimBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm of inputs [B, C, ...] of any number of dimensions, as `nn.SyncBatchNorm` takes them."""

    def _check_input_dim(self, input: Any) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm takes inputs [B, C, ...], not {list(input.shape)}")


def convert_sync_batchnorm(module: nn.Module, implementation: str = "torch") -> nn.Module:
    """Return the module with every batch norm replaced by `nn.SyncBatchNorm`, weights and statistics kept.

    Args:
        module: Where to look.
        implementation: `'torch'`; the old name `'mmcv'` means the same.

    Raises:
        ValueError: another implementation.
    """
    if implementation not in ("torch", "mmcv"):
        raise ValueError(f"implementation is 'torch' (or 'mmcv', which is the same here), not {implementation!r}")
    return nn.SyncBatchNorm.convert_sync_batchnorm(module)


def revert_sync_batchnorm(module: nn.Module) -> nn.Module:
    """Return the module with every `nn.SyncBatchNorm` replaced by a batch norm of one process, weights kept.

    torch's SyncBN does not run on the CPU inside a process group.
    """
    return _replaced(module, _local_batchnorm)


def _replaced(module: nn.Module, replace: Callable[[nn.Module], nn.Module]) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, replace))
    return replace(module)


def _local_batchnorm(module: nn.Module) -> nn.Module:
    if not isinstance(module, nn.SyncBatchNorm):
        return module
    norm = AnyDimBatchNorm(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
    # The very tensors move over, so that optimizers which hold them stay valid.
    norm._parameters, norm._buffers = module._parameters, module._buffers
    return norm.train(module.training)
