"""The base of all models that a runner trains: batches in, losses or predictions out."""

from __future__ import annotations

import numbers
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from visuite.engine.model.base_module import BaseModule, InitCfg
from visuite.engine.model.data_preprocessor import BaseDataPreprocessor
from visuite.engine.registry import MODELS


class OptimStep(Protocol):
    """What a training step asks of an optimizer wrapper."""

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Surround the forward pass: precision, and gradient synchronisation."""

    def update_params(self, loss: Tensor) -> None:
        """Backward, and step where it is due."""


class BaseModel(BaseModule):
    """A model with the steps that loops call; a subclass writes `forward`.

    Args:
        data_preprocessor: A config or module that batches pass first; by default one that moves them to the device.
        init_cfg: As for `BaseModule`.

    Raises:
        TypeError: the preprocessor is neither a config nor a module.
    """

    def __init__(
        self, data_preprocessor: Mapping[str, Any] | nn.Module | None = None, init_cfg: InitCfg = None
    ) -> None:
        super().__init__(init_cfg)
        built = BaseDataPreprocessor() if data_preprocessor is None else MODELS.build(data_preprocessor)
        if not isinstance(built, nn.Module):
            raise TypeError(f"data_preprocessor is a config or a module, not {type(built).__name__}")
        self.data_preprocessor = built

    def forward(self, inputs: Any, data_samples: list[Any] | None = None, mode: str = "tensor") -> Any:
        """Return losses (`mode='loss'`, a dict), predictions (`'predict'`, data samples) or raw outputs (`'tensor'`).

        Args:
            inputs: The batch, [B, C, H, W] for images.
            data_samples: One data element per sample.
            mode: What to return.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward(inputs, data_samples, mode)")

    def train_step(self, data: Any, optim_wrapper: OptimStep) -> dict[str, Tensor]:
        """Preprocess, compute losses and update the parameters; return what is to be logged."""
        return train_step_through(self, self, data, optim_wrapper)

    def val_step(self, data: Any) -> list[Any]:
        """Preprocess and predict; return one data sample per input."""
        return self._run_forward(self.data_preprocessor(data, False), mode="predict")

    def test_step(self, data: Any) -> list[Any]:
        """Preprocess and predict; return one data sample per input."""
        return self._run_forward(self.data_preprocessor(data, False), mode="predict")

    def parse_losses(self, losses: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """See the function `parse_losses`; override it to weigh losses differently."""
        return parse_losses(losses)

    def _run_forward(self, data: Any, mode: str) -> Any:
        args, kwargs = as_arguments(data)
        return self(*args, **kwargs, mode=mode)


def as_arguments(data: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return what a model is called with for a batch: a dict is keyword arguments, a list or tuple positional ones.

    Raises:
        TypeError: the batch is none of these.
    """
    if isinstance(data, Mapping):
        return (), data
    if isinstance(data, (list, tuple)):
        return data, {}
    raise TypeError(f"a preprocessed batch is a dict, list or tuple, not a {type(data).__name__}")


def train_step_through(
    outer: nn.Module,
    model: Any,
    data: Any,
    optim_wrapper: OptimStep,
    *,
    before_update: Callable[[Tensor], Any] | None = None,
) -> dict[str, Tensor]:
    """Take one training step of `model`, its forward pass going through `outer`, which may be a wrapper around it.

    Args:
        outer: What is called: the model, or DDP around it.
        model: Whose preprocessor and `parse_losses` are used.
        data: The batch as the loader gives it.
        optim_wrapper: What updates the parameters.
        before_update: Called with the loss before the backward pass.
    """
    with optim_wrapper.optim_context(outer):
        args, kwargs = as_arguments(model.data_preprocessor(data, True))
        losses = outer(*args, **kwargs, mode="loss")
    loss, log_vars = model.parse_losses(losses)
    if before_update is not None:
        before_update(loss)
    optim_wrapper.update_params(loss)
    return log_vars


def parse_losses(losses: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum what is called a loss, and give all of it to the log.

    A tensor counts with its mean, a list of tensors with the sum of their means. Entries without `loss` in
    their name are logged only. Nothing is read from the device.

    Args:
        losses: What `forward(mode='loss')` returned.

    Returns:
        The scalar to be minimised, and the logged scalars (detached), the sum first as `'loss'`.

    Raises:
        TypeError: a value is neither a tensor, a number nor a list of these, or `losses` is no dict.
        ValueError: there is no loss among the entries.
    """
    if not isinstance(losses, Mapping):
        raise TypeError(f"forward(mode='loss') returns a dict of losses, not a {type(losses).__name__}")
    scalars = {name: _as_scalar(name, value) for name, value in losses.items()}
    counted = [value for name, value in scalars.items() if "loss" in name]
    if not counted:
        raise ValueError(f"none of {', '.join(losses) or 'no entries'} is a loss: its name must contain 'loss'")
    total = sum(counted[1:], start=counted[0])
    log_vars = OrderedDict(loss=total.detach())
    log_vars.update((name, value.detach()) for name, value in scalars.items() if name != "loss" or len(counted) == 1)
    return total, log_vars


def _as_scalar(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        value = value.to(torch.promote_types(value.dtype, torch.float32))
        return value if value.dim() == 0 else value.mean()
    if isinstance(value, numbers.Real):
        return torch.tensor(float(value))
    if isinstance(value, (list, tuple)) and value:
        parts = [_as_scalar(name, one) for one in value]
        return sum(parts[1:], start=parts[0])
    raise TypeError(f"loss {name!r} is a {type(value).__name__}; a tensor, a number or a list of these is needed")
