"""Averages of a model's weights over training.

Every average here is one step towards the current weights: `avg += w(step) * (now - avg)`. The kinds
differ in the weight `w` alone.
"""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from visuite.engine.model.sharding import is_part, local
from visuite.engine.registry import MODELS


class BaseAveragedModel(nn.Module):
    """A copy of a model that holds an average of its weights.

    The first update copies the weights; from then on every `interval`-th one averages. A subclass gives the
    weight of the current model in `momentum_at`, or any other rule in `avg_func`. The average of a model in parts
    (FSDPStrategy) is in parts too, and each rank averages its own.

    Args:
        model: The model; it is not changed.
        interval: Updates from one averaging to the next.
        device: Where the average lives; the model's device by default.
        update_buffers: Average floating-point buffers (the statistics of batch norm) too, instead of copying them.

    Raises:
        ValueError: an interval below 1, or a model in parts whose average shall be on another device.
    """

    steps: Tensor

    def __init__(
        self,
        model: nn.Module,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f"interval is at least 1, not {interval}")
        if device is not None and any(
            is_part(p) and p.device.type != torch.device(device).type for p in model.parameters()
        ):
            raise ValueError(
                f"{type(self).__name__}: the average of a model in parts (FSDPStrategy) lies where they do, not on "
                f"{device!r}; leave `device` out"
            )
        self.interval, self.update_buffers = interval, update_buffers
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        if device is not None:
            self.to(device)
        self._step = 0  # `steps` on the host: reading the buffer would wait for the device
        self.register_load_state_dict_post_hook(_take_step_from_buffer)

    def momentum_at(self, step: int) -> float:
        """Return the weight of the current model in the average at update `step`, from 1 on."""
        raise NotImplementedError(f"{type(self).__name__} needs momentum_at(step) or avg_func")

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Update one averaged tensor in place; of a model in parts, what of it lies on this rank."""
        averaged_param.lerp_(source_param, self.momentum_at(steps))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged model."""
        return self.module(*args, **kwargs)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the current weights of `model` into the average."""
        averaged, copied = self._pairs(model)
        if self._step == 0:
            _copy(averaged)
        elif self._step % self.interval == 0:
            self._average(averaged)
        _copy(copied)
        self.steps += 1
        self._step += 1

    def _pairs(self, model: nn.Module) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
        """Return the (average, source) tensors that are averaged, and those that are copied."""
        averaged = _zip(self.module.parameters(), model.parameters())
        buffers = _zip(self.module.buffers(), model.buffers())
        if not self.update_buffers:
            return averaged, buffers
        mean = [pair for pair in buffers if pair[0].is_floating_point()]
        return averaged + mean, [pair for pair in buffers if not pair[0].is_floating_point()]

    def _average(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        """Average all tensors, in one fused call where the rule is a plain step towards the source."""
        if type(self).avg_func is not BaseAveragedModel.avg_func:
            for average, source in pairs:
                self.avg_func(average, source.to(average.device), self._step)
        elif pairs:
            blend = get_ema_multi_avg_fn(1 - self.momentum_at(self._step))
            blend([average for average, _ in pairs], [source.to(average.device) for average, source in pairs], None)


def _zip(averages: Any, sources: Any) -> list[tuple[Tensor, Tensor]]:
    return [(local(average), local(source.detach())) for average, source in zip(averages, sources, strict=True)]


def _copy(pairs: list[tuple[Tensor, Tensor]]) -> None:
    if pairs:
        torch._foreach_copy_([average for average, _ in pairs], [source for _, source in pairs])


def _take_step_from_buffer(module: nn.Module, _: Any) -> None:
    module._step = int(module.steps)  # type: ignore[assignment, arg-type]


@MODELS.register_module()
class StochasticWeightAverage(BaseAveragedModel):
    """The plain mean of the weights met at every `interval`-th update (arXiv:1803.05407)."""

    def momentum_at(self, step: int) -> float:
        """Return `1 / (n + 1)`, n being the models met before."""
        return 1 / (step // self.interval + 1)


@MODELS.register_module()
class ExponentialMovingAverage(BaseAveragedModel):
    """The exponential moving average `(1 - momentum) * avg + momentum * now`.

    Args:
        model: The model.
        momentum: The weight of the current model, small.
        interval: As for `BaseAveragedModel`.
        device: As for `BaseAveragedModel`.
        update_buffers: As for `BaseAveragedModel`.

    Raises:
        ValueError: the momentum is not between 0 and 1.
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, interval, device, update_buffers)
        if not 0 < momentum < 1:
            raise ValueError(f"momentum lies between 0 and 1, not {momentum}")
        if momentum > 0.5:
            warnings.warn(
                f"momentum={momentum} is the weight of the current model and usually small: did you mean "
                f"{1 - momentum:g}?",
                stacklevel=2,
            )
        self.momentum = momentum

    def momentum_at(self, step: int) -> float:
        """Return the momentum."""
        return self.momentum


@MODELS.register_module()
class MomentumAnnealingEMA(ExponentialMovingAverage):
    """A moving average whose momentum falls as `max(momentum, gamma / (gamma + step))`.

    Args:
        model: The model.
        momentum: The momentum in the end.
        gamma: How slowly it falls, in updates.
        interval: As for `BaseAveragedModel`.
        device: As for `BaseAveragedModel`.
        update_buffers: As for `BaseAveragedModel`.
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        gamma: int = 100,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, momentum, interval, device, update_buffers)
        self.gamma = _positive(gamma)

    def momentum_at(self, step: int) -> float:
        """Return the momentum at an update."""
        return max(self.momentum, self.gamma / (self.gamma + step))


@MODELS.register_module()
class ExpMomentumEMA(ExponentialMovingAverage):
    """A moving average whose momentum falls as `(1 - momentum) * exp(-(1 + step) / gamma) + momentum`, as in YOLOs.

    Args:
        model: The model.
        momentum: The momentum in the end.
        gamma: How slowly it falls, in updates.
        interval: As for `BaseAveragedModel`.
        device: As for `BaseAveragedModel`.
        update_buffers: As for `BaseAveragedModel`.
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        gamma: int = 2000,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, momentum, interval, device, update_buffers)
        self.gamma = _positive(gamma)

    def momentum_at(self, step: int) -> float:
        """Return the momentum at an update."""
        return (1 - self.momentum) * math.exp(-(1 + step) / self.gamma) + self.momentum


def _positive(gamma: float) -> float:
    if gamma <= 0:
        raise ValueError(f"gamma is positive, not {gamma}")
    return gamma
