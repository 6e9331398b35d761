"""Contracts that every whole model keeps, from a batch to losses and to a step; those of parts are in contracts.py.

A model is made by a factory, so that each contract sees a fresh one, and a batch by another, for models may write into
samples. Both must give the same each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from visuite.engine.model import BaseModel
from visuite.engine.optim import AmpOptimWrapper, OptimWrapper

Make = Callable[[], BaseModel]
Batch = Callable[[], dict[str, Any]]


def losses_of(model: BaseModel, batch: dict[str, Any]) -> dict[str, Any]:
    """Return what `mode='loss'` gives for a batch as it comes from the loader."""
    return model(**model.data_preprocessor(batch, True), mode="loss")


def learns(make: Make, batch: Batch, *, within: float | None = None) -> dict[str, Any]:
    """Losses are finite, and each trainable parameter gets a finite gradient, for DDP waits for all of them.

    Args:
        make: Makes the model.
        batch: Makes the batch.
        within: How many seconds it may take.

    Returns:
        The losses.
    """
    model, start = make().train(), time.perf_counter()
    torch.manual_seed(0)
    losses = losses_of(model, batch())
    total, _ = model.parse_losses(losses)
    total.backward()
    took = time.perf_counter() - start
    assert total.requires_grad
    for name, value in losses.items():
        assert torch.as_tensor(value).isfinite().all(), f"{name} is {value}"
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"no gradient for {name}"
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
    for name, value in model.named_buffers():
        assert value.isfinite().all(), f"{name} is not finite behind the step"
    assert within is None or took < within, f"{took:.1f} s"
    return losses


def learns_in_half_precision(make: Make, batch: Batch, *, tolerance: float = 0.3) -> None:
    """Under autocast to bfloat16, losses are float32, finite and near those in float32, and a step leaves all finite.

    Args:
        make: Makes the model.
        batch: Makes the batch.
        tolerance: How far the sum of the losses may be off, in parts.
    """
    model = _seeded(make)
    exact = float(model.parse_losses(losses_of(model, batch()))[0].detach())
    model = _seeded(make)
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=1e-3), dtype="bfloat16")
    with wrapper.optim_context(model):
        losses = losses_of(model, batch())
        for name, value in losses.items():
            assert value.dtype == torch.float32, f"{name} is {value.dtype}"
            assert value.isfinite().all(), f"{name} is {value}"
        total, _ = model.parse_losses(losses)
    wrapper.update_params(total)
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), f"{name} is not finite behind a step"
    assert abs(float(total.detach()) - exact) <= tolerance * exact, (float(total.detach()), exact)


def repeats_itself(make: Make, batch: Batch) -> None:
    """The same seed gives the same losses and the same weights behind two steps, bit for bit."""
    runs = []
    for _ in range(2):
        model = _seeded(make)
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
        logs = [model.train_step(batch(), wrapper) for _ in range(2)]
        runs.append((logs, model.state_dict()))
    (logs, state), (again, other) = runs
    for one, two in zip(logs, again, strict=True):
        assert one.keys() == two.keys()
        for name in one:
            assert torch.equal(torch.as_tensor(one[name]), torch.as_tensor(two[name])), name
    for name, value in state.items():
        assert torch.equal(value, other[name]), name


def state_loads(make: Make, batch: Batch, read: Callable[[Any], list[torch.Tensor]]) -> None:
    """A fresh model with another's state predicts what the other does, bit for bit.

    Args:
        make: Makes the model.
        batch: Makes the batch.
        read: Takes the tensors to compare out of a sample.
    """
    model, other = make().eval(), make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
        other.load_state_dict(model.state_dict(), strict=True)
        for one, two in zip(model.test_step(batch()), other.test_step(batch()), strict=True):
            for left, right in zip(read(one), read(two), strict=True):
                assert torch.equal(left, right)


def _seeded(make: Make) -> BaseModel:
    model = make().train()
    torch.manual_seed(0)
    return model
