"""Activations computed twice instead of kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint


def recompute(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, *, enabled: bool) -> torch.Tensor:
    """Return `function(x)`; where enabled and gradients are wanted, its inner activations are not kept for them."""
    if enabled and torch.is_grad_enabled():
        return checkpoint(function, x, use_reentrant=False)
    return function(x)
