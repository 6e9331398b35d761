"""LARS: a learning rate for each layer, by the ratio of its weights to its gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from visuite.engine.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class LARS(Optimizer):
    """SGD whose step of each parameter is scaled by eta ||w|| / (||g|| + weight_decay ||w||) (arXiv:1708.03888).

    Args:
        params: Parameters or groups; groups with `lars_exclude=True` take plain SGD steps (biases, normalisation).
        lr: The learning rate.
        momentum: The share of the last step that goes into the next.
        weight_decay: The factor of the L2 penalty.
        dampening: The share of a gradient that does not enter the momentum.
        eta: The trust coefficient.
        nesterov: Whether to look ahead by one momentum step.
        eps: Added to the denominator.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0,
        weight_decay: float = 0,
        dampening: float = 0,
        eta: float = 0.001,
        nesterov: bool = False,
        eps: float = 1e-8,
    ) -> None:
        for name, value in dict(lr=lr, momentum=momentum, weight_decay=weight_decay, eta=eta).items():
            if value < 0:
                raise ValueError(f"{name} is not negative, and was given as {value}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs momentum, and no dampening")
        options = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, dampening=dampening, eta=eta)
        super().__init__(params, {**options, "nesterov": nesterov, "eps": eps, "lars_exclude": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters; with a closure, evaluate it first and return its loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(parameters, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients: Any = [p.grad for p in parameters]
        steps: Any = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
        if not group["lars_exclude"]:
            torch._foreach_mul_(steps, _trust(parameters, gradients, group))
        if group["momentum"]:
            steps = self._with_momentum(parameters, steps, group)
        torch._foreach_add_(parameters, steps, alpha=-group["lr"])

    def _with_momentum(self, parameters: list[Tensor], steps: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        fresh = ["momentum_buffer" not in self.state[p] for p in parameters]
        for parameter, step, is_fresh in zip(parameters, steps, fresh, strict=True):
            if is_fresh:
                self.state[parameter]["momentum_buffer"] = step.clone()
        if not all(fresh):
            old = [
                self.state[p]["momentum_buffer"] for p, is_fresh in zip(parameters, fresh, strict=True) if not is_fresh
            ]
            torch._foreach_mul_(old, group["momentum"])
            added = [step for step, is_fresh in zip(steps, fresh, strict=True) if not is_fresh]
            torch._foreach_add_(old, added, alpha=1 - group["dampening"])
        buffers = [self.state[p]["momentum_buffer"] for p in parameters]
        return list(torch._foreach_add(steps, buffers, alpha=group["momentum"])) if group["nesterov"] else buffers


def _trust(parameters: list[Tensor], gradients: list[Any], group: dict[str, Any]) -> list[Tensor]:
    """Return the factor of each parameter's step: 1 where weights or gradients are all zero."""
    weights, slopes = torch._foreach_norm(parameters), torch._foreach_norm(gradients)
    return [
        torch.where((w > 0) & (g > 0), group["eta"] * w / (g + group["weight_decay"] * w + group["eps"]), 1.0)
        for w, g in zip(weights, slopes, strict=True)
    ]
