"""What stands between a loss and an optimizer: gradient accumulation, clipping, and the state of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer

from visuite.engine.logging import MessageHub, print_log
from visuite.engine.registry import OPTIM_WRAPPERS
from visuite.engine.utils.text import did_you_mean

#: The arguments of each kind of clipping, beside the parameters.
_CLIPPING = {
    "norm": ("max_norm", "norm_type", "error_if_nonfinite", "foreach"),
    "value": ("clip_value", "foreach"),
}
#: The keys that a wrapper adds to the state of its optimizer.
_COUNTERS, _BASE = "accumulation", "base_param_settings"


@OPTIM_WRAPPERS.register_module()
class OptimWrapper:
    """Update an optimizer's parameters from losses: `update_params(loss)` is all that a training step calls.

    Gradients are accumulated over windows of `accumulative_counts` losses, each scaled by the length of its window, so
    that a window equals one big batch. The last window of a run, and one that a resume opens in the middle, are as long
    as they really are.

    Args:
        optimizer: The optimizer.
        accumulative_counts: How many losses make one step.
        clip_grad: `dict(type='norm', max_norm=..., norm_type=2)` or `dict(type='value', clip_value=...)`; the type is
            'norm' by default. The norm before clipping is logged as 'train/grad_norm'.

    Raises:
        TypeError: `optimizer` is not one, or `clip_grad` is not a dict.
        ValueError: `accumulative_counts` is below 1, or `clip_grad` has an unknown type or argument; says the nearest.
    """

    def __init__(
        self, optimizer: Optimizer, accumulative_counts: int = 1, clip_grad: dict[str, Any] | None = None
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer is a torch.optim.Optimizer, not {type(optimizer).__name__}")
        if accumulative_counts < 1:
            raise ValueError(f"accumulative_counts is at least 1, not {accumulative_counts}")
        self.optimizer = optimizer
        self.accumulative_counts = accumulative_counts
        self.clip_grad_type, self.clip_grad_kwargs = _check_clipping(clip_grad)
        #: The optimizer's defaults as one more group, so that schedulers move the base rate that logs show.
        self.base_param_settings: dict[str, Any] | None = None
        if len(optimizer.param_groups) > 1:
            self.base_param_settings = {"params": torch.zeros(1), **optimizer.defaults}
        self._inner_count = 0  # losses so far
        self._max_counts = -1  # losses of the whole run, -1 while unknown
        self._window = (0, 0)  # the counts at which the current window begins and ends
        self._gradients_from = 0  # the count from which gradients are held
        self._saved_window: tuple[int, int] | None = None  # of a loaded state, whose counts are to be kept

    # ------------------------------------------------------------------ one update

    def update_params(
        self, loss: Tensor, step_kwargs: dict[str, Any] | None = None, zero_kwargs: dict[str, Any] | None = None
    ) -> None:
        """Go backward from a loss and, at the end of a window, step and clear the gradients.

        Args:
            loss: A scalar.
            step_kwargs: Arguments of `optimizer.step`.
            zero_kwargs: Arguments of `optimizer.zero_grad`.
        """
        self.backward(self.scale_loss(loss))
        if self.should_update():
            self.step(**(step_kwargs or {}))
            self.zero_grad(**(zero_kwargs or {}))

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Divide a loss by the number of losses in its window."""
        if self.accumulative_counts == 1:
            return loss
        begin, end = self._current_window()
        return loss / (end - begin)

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Add the gradients of a loss, and count it."""
        if self.accumulative_counts > 1:
            self._current_window()
        loss.backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        """Clip the gradients where that is asked for, and step the optimizer."""
        if self.clip_grad_type:
            self._clip_grad()
        self.optimizer.step(**kwargs)

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients."""
        self.optimizer.zero_grad(**kwargs)

    def should_update(self) -> bool:
        """Tell whether the loss that was counted last ended its window."""
        return self.accumulative_counts == 1 or self._inner_count == self._window[1]

    def should_sync(self) -> bool:
        """Tell whether the coming loss ends its window, so that ranks must exchange gradients."""
        return self.accumulative_counts == 1 or self._inner_count + 1 == self._current_window()[1]

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Return the context for the forward pass: ranks do not exchange gradients until a window ends."""
        # FSDP2 is left alone: that it reduces each batch's gradients to parts is what saves memory.
        no_sync: Any = None if self.should_sync() else getattr(model, "no_sync", None)
        return nullcontext() if no_sync is None else no_sync()

    def _clip_grad(self) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.clip_grad_type == "value":
            clip_grad_value_(parameters, **self.clip_grad_kwargs)
            return
        norm = clip_grad_norm_(parameters, **self.clip_grad_kwargs)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        # As a tensor: reading it here would make the host wait for the accelerator in every iteration.
        MessageHub.get_current_instance().update_scalar("train/grad_norm", norm.detach())

    # ------------------------------------------------------------------ counting

    @property
    def inner_count(self) -> int:
        """The number of losses so far."""
        return self._inner_count

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Say where in the run the next loss stands; a loop calls this once, before its first iteration.

        Args:
            model: The model; batch normalisation in it draws a warning where losses are accumulated.
            init_counts: Losses so far.
            max_counts: Losses of the whole run.
        """
        # A loop may make several updates in an iteration: on the saved plan, the saved count knows better.
        resumed = self._saved_window is not None and init_counts > 0 and max_counts == self._max_counts
        self._saved_window, self._max_counts = None, max_counts
        if init_counts != self._inner_count and not resumed:
            if self.pending_gradients() is not None:
                self.zero_grad()
            self._set_count(init_counts)
        if self.accumulative_counts > 1:
            self._tell_about_accumulation(model)

    def _set_count(self, count: int) -> None:
        """Stand at a count with no gradients held: a window that is open there is as much shorter."""
        self._inner_count = self._gradients_from = count
        self._window = (count, count)

    def _tell_about_accumulation(self, model: nn.Module) -> None:
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            print_log(
                f"gradients of {self.accumulative_counts} batches are accumulated, and batch normalisation still takes "
                "its statistics from each of them alone",
                "current",
                level="WARNING",
            )

    def _current_window(self) -> tuple[int, int]:
        """Return the window of the coming loss, opening it where the last one has ended."""
        count = self._inner_count
        if count >= self._window[1]:
            begin = count - count % self.accumulative_counts
            end = begin + self.accumulative_counts
            if count < self._max_counts:
                end = min(end, self._max_counts)
            self._window = (max(begin, self._gradients_from), end)
        return self._window

    # ------------------------------------------------------------------ the optimizer's values

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The optimizer's parameter groups and, where there are several, `base_param_settings` as the last."""
        groups = self.optimizer.param_groups
        return groups if self.base_param_settings is None else [*groups, self.base_param_settings]

    @property
    def defaults(self) -> dict[str, Any]:
        """The optimizer's defaults."""
        return self.optimizer.defaults

    def get_lr(self) -> dict[str, list[float]]:
        """Return the learning rate of each group as 'lr' and, where groups differ, the base rate as 'base_lr'."""
        rates = {} if self.base_param_settings is None else {"base_lr": [self.base_param_settings["lr"]]}
        return {**rates, "lr": [group["lr"] for group in self.optimizer.param_groups]}

    def get_momentum(self) -> dict[str, list[float]]:
        """Return the momentum of each group, the first beta where there are betas, and 0 where there is neither."""
        return {"momentum": list(map(_momentum, self.optimizer.param_groups))}

    # ------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state ('state', 'param_groups') and, beside it, the wrapper's own."""
        state = self.optimizer.state_dict()
        if self.base_param_settings is not None:
            state[_BASE] = dict(self.base_param_settings)
        state[_COUNTERS] = dict(inner_count=self._inner_count, max_counts=self._max_counts, window=list(self._window))
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, or the state of a bare optimizer."""
        state = dict(state_dict)
        base, counters = state.pop(_BASE, None), state.pop(_COUNTERS, None)
        if base is not None and self.base_param_settings is not None:
            self.base_param_settings.update(base)
        if counters is not None:
            self._set_count(counters["inner_count"])  # `restore_gradients` brings what an open window held
            self._max_counts = counters["max_counts"]
            self._saved_window = (counters["window"][0], counters["window"][1])
        self.optimizer.load_state_dict(state)

    def pending_gradients(self) -> dict[int, Tensor] | None:
        """Return the gradients of an open window by the number of their parameter, or None where none is open.

        A parameter's number is its place among those of all groups, as in the optimizer's state.
        """
        begin, end = self._window
        if self.accumulative_counts == 1 or not begin < self._inner_count < end:
            return None
        return {n: p.grad for n, p in enumerate(self._parameters()) if p.grad is not None}

    def restore_gradients(self, gradients: Mapping[int, Tensor] | None) -> None:
        """Take over gradients of an open window, after `load_state_dict`.

        Raises:
            ValueError: they are not of this optimizer's parameters.
        """
        if gradients is None:
            return
        parameters = list(self._parameters())
        for number, gradient in gradients.items():
            if not 0 <= number < len(parameters) or parameters[number].shape != gradient.shape:
                raise ValueError(f"the saved gradient {number} of shape {tuple(gradient.shape)} fits no parameter")
            parameters[number].grad = gradient.to(parameters[number].device, parameters[number].dtype, copy=True)
        self._window = self._saved_window or self._window
        self._gradients_from = self._window[0]

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def __repr__(self) -> str:
        options = f"accumulative_counts={self.accumulative_counts}, clip_grad={self.clip_grad_kwargs or None}"
        return f"{type(self).__name__}({options}, optimizer={self.optimizer!r})"


def _momentum(group: Mapping[str, Any]) -> float:
    return group["momentum"] if "momentum" in group and "betas" not in group else group.get("betas", (0,))[0]


def _check_clipping(clip_grad: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """Return the kind of clipping ('' for none) and its arguments."""
    if clip_grad is None:
        return "", {}
    if not isinstance(clip_grad, dict) or not clip_grad:
        raise TypeError(f"clip_grad is a dict such as dict(max_norm=35), not {clip_grad!r}")
    options = dict(clip_grad)
    kind = options.pop("type", "norm")
    if kind not in _CLIPPING:
        raise ValueError(f"clip_grad's type is 'norm' or 'value', not {kind!r}{did_you_mean(str(kind), _CLIPPING)}")
    needed = _CLIPPING[kind][0]
    for name in options:
        if name not in _CLIPPING[kind]:
            raise ValueError(f"clip_grad of type {kind!r} has no {name!r}{did_you_mean(name, _CLIPPING[kind])}")
    if needed not in options:
        raise ValueError(f"clip_grad of type {kind!r} needs {needed!r}")
    return kind, options
