"""Mixed precision on CPU: bfloat16 without and float16 with a scaler."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from visuite.engine.optim import AmpOptimWrapper
from visuite.engine.registry import OPTIM_WRAPPERS


def make(**kwargs) -> tuple[nn.Module, AmpOptimWrapper]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, AmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1), **kwargs)


BATCH = torch.linspace(-1, 1, 12).reshape(4, 3)


def forward(model, wrapper):
    with wrapper.optim_context(model):
        return model(BATCH)


@pytest.mark.parametrize("dtype", [None, "bfloat16", torch.bfloat16])
def test_bfloat16_is_the_default_on_cpu_and_needs_no_scale(dtype):
    model, wrapper = make(dtype=dtype)
    out = forward(model, wrapper)
    assert out.dtype == torch.bfloat16
    assert not wrapper.loss_scaler.is_enabled()
    wrapper.update_params(out.float().square().mean())
    plain, _ = make()
    with torch.autocast("cpu", torch.bfloat16):
        plain(BATCH).float().square().mean().backward()
    torch.optim.SGD(plain.parameters(), lr=0.1).step()
    assert torch.equal(model.weight, plain.weight)
    assert model.weight.dtype == torch.float32


def test_losses_are_made_float32():
    _, wrapper = make(accumulative_counts=3)
    assert wrapper.scale_loss(torch.ones((), dtype=torch.bfloat16)).dtype == torch.float32
    assert wrapper.scale_loss(torch.ones((), dtype=torch.float64)).dtype == torch.float64


def test_float16_unscales_before_it_clips():
    model, wrapper = make(dtype="float16", loss_scale=1024.0, clip_grad=dict(max_norm=1e-2))
    before = model.weight.detach().clone(), model.bias.detach().clone()
    out = forward(model, wrapper)
    assert out.dtype == torch.float16
    wrapper.update_params(out.float().square().mean())
    moved = torch.cat([(old - new.detach()).flatten() for old, new in zip(before, model.parameters(), strict=True)])
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-3)
    assert wrapper.loss_scaler.get_scale() == 1024.0


def test_overflow_skips_the_step_and_lowers_the_scale():
    model, wrapper = make(dtype="float16", loss_scale=dict(init_scale=8.0, growth_interval=1))
    before = model.weight.detach().clone()
    wrapper.update_params(forward(model, wrapper).float().sum() * float("inf"))
    assert torch.equal(model.weight, before)
    assert wrapper.loss_scaler.get_scale() == 4.0
    wrapper.update_params(forward(model, wrapper).float().sum())
    assert not torch.equal(model.weight, before)
    assert wrapper.loss_scaler.get_scale() == 8.0


def test_a_fixed_scale_stays_after_an_overflow():
    model, wrapper = make(dtype="float16", loss_scale=16)
    wrapper.update_params(forward(model, wrapper).float().sum() * float("inf"))
    assert wrapper.loss_scaler.get_scale() == 16.0


def test_scaler_is_saved_and_loaded():
    _, wrapper = make(dtype="float16", loss_scale=dict(init_scale=8.0))
    state = wrapper.state_dict()
    assert state["loss_scaler"]["scale"] == 8.0
    _, fresh = make(dtype="float16")
    fresh.load_state_dict(state)
    assert fresh.loss_scaler.get_scale() == 8.0
    _, without = make(dtype="bfloat16")
    without.load_state_dict(state)  # nothing to scale here
    fresh.load_state_dict(without.state_dict())  # and nothing to load there
    assert fresh.loss_scaler.get_scale() == 8.0


def test_accumulation_under_autocast_resumes_exactly():
    def run(model, wrapper, count):
        for _ in range(count):
            wrapper.update_params(forward(model, wrapper).float().square().mean())

    whole, wrapper = make(dtype="float16", accumulative_counts=3)
    run(whole, wrapper, 6)
    model, wrapper = make(dtype="float16", accumulative_counts=3)
    run(model, wrapper, 4)
    again, fresh = make(dtype="float16", accumulative_counts=3)
    again.load_state_dict(model.state_dict())
    fresh.load_state_dict(wrapper.state_dict())
    fresh.restore_gradients(wrapper.pending_gradients())
    run(again, fresh, 2)
    assert torch.equal(again.weight, whole.weight)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(dtype="float61"), "'float16'"),
        (dict(dtype=torch.int8), "float16, bfloat16"),
        (dict(loss_scale="dynamical"), "'dynamic'"),
        (dict(loss_scale=-1.0), "positive"),
        (dict(loss_scale=dict(init_scal=2.0)), "'init_scale'"),
    ],
)
def test_bad_arguments_are_told(arguments, words):
    with pytest.raises(ValueError, match=words):
        make(**arguments)


def test_registered_and_built_from_a_config():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    cfg = dict(type="AmpOptimWrapper", dtype="bfloat16", clip_grad=dict(max_norm=1))
    wrapper = OPTIM_WRAPPERS.build(cfg, default_args=dict(optimizer=optimizer))
    assert wrapper.cast_dtype == torch.bfloat16
