"""The optimizers of torch, by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from visuite.engine.registry import OPTIMIZERS
from visuite.engine.utils.text import did_you_mean


def register_torch_optimizers() -> list[str]:
    """Register every optimizer of torch.optim under its name, and return the names."""
    found = [kind for _, kind in inspect.getmembers(torch.optim, inspect.isclass) if issubclass(kind, Optimizer)]
    for kind in found:
        if kind is not Optimizer:
            OPTIMIZERS.register_module(module=kind)
    if hasattr(torch.optim, "Adafactor"):  # configs name it so, to tell it from another library's
        OPTIMIZERS.register_module(name="TorchAdafactor", module=torch.optim.Adafactor)
    return [kind.__name__ for kind in found]


@OPTIMIZERS.register_module(name="ZeroRedundancyOptimizer")
def zero_redundancy_optimizer(params: Iterable[Any], optimizer_type: str, **kwargs: Any) -> Optimizer:
    """Shard the state of an optimizer of torch over all ranks (ZeRO stage 1, arXiv:1910.02054).

    Args:
        params: Parameters or parameter groups.
        optimizer_type: The name of the optimizer.
        **kwargs: Its arguments.

    Raises:
        ValueError: torch has no such optimizer; says the nearest.
    """
    from torch.distributed.optim import ZeroRedundancyOptimizer  # slow to import

    kind = getattr(torch.optim, optimizer_type, None)
    if kind is None:
        raise ValueError(f"torch.optim has no {optimizer_type!r}{did_you_mean(optimizer_type, dir(torch.optim))}")
    return ZeroRedundancyOptimizer(params, optimizer_class=kind, **kwargs)


register_torch_optimizers()
