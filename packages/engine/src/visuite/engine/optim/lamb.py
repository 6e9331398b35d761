"""LAMB: Adam with a learning rate for each layer, for large batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from visuite.engine.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class Lamb(Optimizer):
    """Adam whose step of each parameter is scaled by ||w|| / ||step|| (arXiv:1904.00962).

    Args:
        params: Parameters or groups.
        lr: The learning rate.
        bias_correction: Whether the moments are corrected for having begun at 0.
        betas: The decay of both moments.
        eps: Added to the denominator.
        weight_decay: The factor of the weights in a step.
        grad_averaging: Whether a gradient enters the first moment with the weight 1 - beta1.
        max_grad_norm: Gradients of a larger norm, over all groups, are scaled down to it; None or 0 for no limit.
        trust_clip: Never scale a step up.
        always_adapt: Scale the steps of groups without weight decay too.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        bias_correction: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        grad_averaging: bool = True,
        max_grad_norm: float | None = 1.0,
        trust_clip: bool = False,
        always_adapt: bool = False,
    ) -> None:
        if lr < 0 or eps < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"lr and eps are not negative and betas lie in [0, 1), not {lr}, {eps} and {betas}")
        defaults = dict(lr=lr, bias_correction=bias_correction, betas=tuple(betas), eps=eps, weight_decay=weight_decay)
        switches = dict(trust_clip=trust_clip, always_adapt=always_adapt)
        super().__init__(
            params, {**defaults, "grad_averaging": grad_averaging, "max_grad_norm": max_grad_norm, **switches}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters; with a closure, evaluate it first and return its loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        shrink = self._shrink()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            group["step"] = group.get("step", 0) + 1
            if parameters:
                self._update(parameters, group, shrink)
        return loss

    def _shrink(self) -> Tensor | None:
        """Return the factor that brings the norm of all gradients down to the limit."""
        limit = self.defaults["max_grad_norm"]
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not limit or not gradients:
            return None
        norm = get_total_norm(gradients)
        return torch.where(norm > limit, limit / norm, torch.ones_like(norm))

    def _update(self, parameters: list[Tensor], group: dict[str, Any], shrink: Tensor | None) -> None:
        gradients: Any = [p.grad for p in parameters]
        if shrink is not None:
            gradients = torch._foreach_mul(gradients, shrink)
        steps = self._adam_steps(parameters, gradients, group)
        if group["weight_decay"]:
            torch._foreach_add_(steps, parameters, alpha=group["weight_decay"])
        if group["weight_decay"] or group["always_adapt"]:
            torch._foreach_mul_(steps, _trust(parameters, steps, clip=group["trust_clip"]))
        torch._foreach_add_(parameters, steps, alpha=-group["lr"])

    def _adam_steps(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        first, second = self._moments(parameters)
        beta1, beta2 = group["betas"]
        torch._foreach_mul_(first, beta1)
        torch._foreach_add_(first, gradients, alpha=1 - beta1 if group["grad_averaging"] else 1.0)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, value=1 - beta2)
        missing1, missing2 = (1 - beta ** group["step"] if group["bias_correction"] else 1.0 for beta in (beta1, beta2))
        below = torch._foreach_sqrt(second)
        torch._foreach_div_(below, missing2**0.5)
        torch._foreach_add_(below, group["eps"])
        steps = torch._foreach_div(first, missing1)
        torch._foreach_div_(steps, below)
        return list(steps)

    def _moments(self, parameters: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
                self.state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter)
        return [self.state[p]["exp_avg"] for p in parameters], [self.state[p]["exp_avg_sq"] for p in parameters]


def _trust(parameters: list[Tensor], steps: list[Tensor], *, clip: bool) -> list[Tensor]:
    """Return ||w|| / ||step|| of each parameter: 1 where either is zero, at most 1 with `clip`."""
    pairs = zip(torch._foreach_norm(parameters), torch._foreach_norm(steps), strict=True)
    factors = [torch.where((w > 0) & (s > 0), w / s, 1.0) for w, s in pairs]
    return [factor.clamp(max=1.0) for factor in factors] if clip else factors
