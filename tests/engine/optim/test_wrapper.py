"""Accumulation, clipping and resuming, each against plain torch."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from visuite.engine.logging import MessageHub
from visuite.engine.optim import OptimWrapper, OptimWrapperDict


def make(seed: int = 0, momentum: float = 0.9, **kwargs) -> tuple[nn.Module, OptimWrapper]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
    return model, OptimWrapper(optimizer, **kwargs)


def batches(count: int, size: int = 2) -> torch.Tensor:
    return torch.randn(count, size, 3, generator=torch.Generator().manual_seed(1))


def loss_of(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return model(batch).square().mean()


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(model, wrapper, data, start=0, total=None):
    wrapper.initialize_count_status(model, start, len(data) if total is None else total)
    for batch in data[start:]:
        wrapper.update_params(loss_of(model, batch))


def test_update_is_a_plain_step():
    model, wrapper = make()
    data = batches(5)
    train(model, wrapper, data)
    plain, other = make()
    for batch in data:
        loss_of(plain, batch).backward()
        other.optimizer.step()
        other.optimizer.zero_grad()
    assert torch.equal(weights(model), weights(plain))


@settings(max_examples=20, deadline=None)
@given(counts=st.integers(2, 5), steps=st.integers(1, 11))
def test_accumulation_equals_big_batches_to_the_last(counts, steps):
    model, wrapper = make(accumulative_counts=counts)
    data = batches(steps)
    train(model, wrapper, data)
    big, optimizer = make()
    for window in data.split(counts):  # the last one may be shorter
        optimizer.update_params(loss_of(big, window.flatten(0, 1)))
    torch.testing.assert_close(weights(model), weights(big), rtol=1e-5, atol=1e-6)


def test_unknown_length_has_full_windows_only():
    model, wrapper = make(accumulative_counts=3)
    before = weights(model)
    for batch in batches(2):
        wrapper.update_params(loss_of(model, batch))
    assert torch.equal(weights(model), before)
    assert wrapper.scale_loss(torch.tensor(3.0)) == 1.0


@pytest.mark.parametrize("stop", range(1, 8))
def test_resume_in_the_middle_of_a_window_is_exact(stop):
    data = batches(8)
    whole, wrapper = make(accumulative_counts=3)
    train(whole, wrapper, data)

    model, wrapper = make(accumulative_counts=3)
    train(model, wrapper, data[:stop], total=8)
    saved = model.state_dict(), wrapper.state_dict(), wrapper.pending_gradients()
    assert (saved[2] is None) == (stop % 3 == 0)

    again, fresh = make(seed=5, accumulative_counts=3)
    again.load_state_dict(saved[0])
    fresh.load_state_dict(saved[1])
    fresh.restore_gradients(saved[2])
    train(again, fresh, data, start=stop)
    assert torch.equal(weights(again), weights(whole))


def test_window_without_its_gradients_is_shorter():
    model, wrapper = make(accumulative_counts=4, momentum=0)
    wrapper.initialize_count_status(model, 3, 100)  # from a checkpoint that keeps no gradients
    batch = batches(1)[0]
    plain, other = make(momentum=0)
    other.update_params(loss_of(plain, batch))
    wrapper.update_params(loss_of(model, batch))
    assert torch.equal(weights(model), weights(plain))


def test_saved_count_is_kept_where_an_iteration_makes_two_updates():
    model, wrapper = make(accumulative_counts=4)
    wrapper.initialize_count_status(model, 0, 50)
    for batch in batches(6):  # three iterations
        wrapper.update_params(loss_of(model, batch))
    _, fresh = make(accumulative_counts=4)
    fresh.load_state_dict(wrapper.state_dict())
    fresh.restore_gradients(wrapper.pending_gradients())
    fresh.initialize_count_status(model, 3, 50)
    assert fresh.inner_count == 6
    fresh.initialize_count_status(model, 3, 50)  # a new run says where it stands
    assert fresh.inner_count == 3
    assert fresh.pending_gradients() is None


def test_gradients_of_another_model_are_refused():
    _, wrapper = make(accumulative_counts=2)
    with pytest.raises(ValueError, match="gradient 0"):
        wrapper.restore_gradients({0: torch.zeros(7)})


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_clipping_by_norm(norm_type):
    with MessageHub.get_instance(f"clip-{norm_type}").activate():
        model, wrapper = make(momentum=0, clip_grad=dict(max_norm=0.01, norm_type=norm_type))
        batch = batches(1)[0]
        before = weights(model)
        gradient = torch.cat(
            [g.flatten() for g in torch.autograd.grad(loss_of(model, batch), list(model.parameters()))]
        )
        norm = torch.linalg.vector_norm(gradient, norm_type)
        wrapper.update_params(loss_of(model, batch))
        torch.testing.assert_close(before - weights(model), 0.1 * gradient * 0.01 / (norm + 1e-6), rtol=1e-4, atol=1e-7)
        logged = MessageHub.get_current_instance().get_scalar("train/grad_norm").current()
        assert float(logged) == pytest.approx(float(norm), rel=1e-5)


def test_clipping_by_value():
    model, wrapper = make(momentum=0, clip_grad=dict(type="value", clip_value=1e-3))
    before = weights(model)
    wrapper.update_params(loss_of(model, batches(1)[0]))
    assert float((before - weights(model)).abs().max()) == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize(
    ("clip_grad", "error", "words"),
    [
        (dict(), TypeError, "max_norm=35"),
        (3, TypeError, "max_norm=35"),
        (dict(type="norms", max_norm=1), ValueError, "'norm'"),
        (dict(max_nrom=1), ValueError, "'max_norm'"),
        (dict(norm_type=2), ValueError, "needs 'max_norm'"),
    ],
)
def test_bad_clipping_is_told(clip_grad, error, words):
    with pytest.raises(error, match=words):
        make(clip_grad=clip_grad)


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="at least 1"):
        make(accumulative_counts=0)
    with pytest.raises(TypeError, match="Optimizer, not Linear"):
        OptimWrapper(nn.Linear(1, 1))


class Parallel(nn.Linear):
    """Counts how often it may exchange gradients, as DistributedDataParallel would."""

    def __init__(self):
        super().__init__(3, 2)
        self.held_back = self.entered = 0

    @contextmanager
    def no_sync(self):
        self.held_back += 1
        yield


def test_ranks_exchange_gradients_only_where_a_window_ends():
    model = Parallel()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=3)
    wrapper.initialize_count_status(model, 0, 7)
    synced = []
    for batch in batches(7):
        held_back = model.held_back
        with wrapper.optim_context(model):
            loss = loss_of(model, batch)
        synced.append(model.held_back == held_back)
        wrapper.update_params(loss)
    assert synced == [False, False, True, False, False, True, True]


def groups_of_two() -> OptimWrapper:
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    return OptimWrapper(torch.optim.SGD([dict(params=[a]), dict(params=[b], lr=0.01)], lr=0.1, momentum=0.9))


def test_state_is_the_optimizers_own_with_more_keys():
    wrapper = groups_of_two()
    wrapper.update_params(sum(wrapper._parameters()).sum())
    state = wrapper.state_dict()
    assert state.keys() - {"accumulation"} == {"state", "param_groups", "base_param_settings"}
    fresh = groups_of_two()
    fresh.optimizer.load_state_dict(state)  # a bare optimizer reads it
    fresh.load_state_dict(wrapper.optimizer.state_dict())  # and we read a bare optimizer's
    assert torch.equal(fresh.optimizer.state_dict()["state"][0]["momentum_buffer"], torch.ones(1))


def test_rates_and_momenta():
    wrapper = groups_of_two()
    assert wrapper.get_lr() == {"base_lr": [0.1], "lr": [0.1, 0.01]}
    assert wrapper.get_momentum() == {"momentum": [0.9, 0.9]}
    assert len(wrapper.param_groups) == 3
    adam = OptimWrapper(torch.optim.Adam(nn.Linear(2, 2).parameters()))
    assert adam.get_lr() == {"lr": [1e-3]}
    assert adam.get_momentum() == {"momentum": [0.9]}
    assert OptimWrapper(torch.optim.Adagrad(nn.Linear(2, 2).parameters())).get_momentum() == {"momentum": [0]}


def test_several_optimizers():
    (_, one), (judge, two) = make(0), make(1)
    both = OptimWrapperDict(generator=one, judge=two)
    assert both["judge"] is two
    assert "generator" in both
    assert len(both) == 2
    assert both.get_lr() == {"generator.lr": [0.1], "judge.lr": [0.1]}
    both["judge"].update_params(loss_of(judge, batches(1)[0]))
    fresh = OptimWrapperDict(generator=make(0)[1], judge=make(1)[1])
    fresh.load_state_dict(both.state_dict())
    assert fresh["judge"].inner_count == 1
    assert fresh["generator"].inner_count == 0
    assert list(fresh["judge"].optimizer.state_dict()["state"]) == [0, 1, 2, 3]
    with pytest.raises(NotImplementedError, match="generator, judge"):
        both.update_params(torch.zeros(()))
    with pytest.raises(KeyError, match="'judge'"):
        both["juge"]
    with pytest.raises(KeyError, match="no optimizer 'judge'"):
        fresh.load_state_dict({"generator": one.state_dict()})
    with pytest.raises(TypeError, match="judge is an OptimWrapper"):
        OptimWrapperDict(judge=two.optimizer)


def test_gradients_of_several_optimizers_are_kept_by_name():
    model, one = make(accumulative_counts=2)
    both = OptimWrapperDict(generator=one, judge=make(1)[1])
    assert both.pending_gradients() is None
    both["generator"].update_params(loss_of(model, batches(1)[0]))
    pending = both.pending_gradients()
    assert list(pending) == ["generator"]
    fresh = OptimWrapperDict(generator=make(0, accumulative_counts=2)[1], judge=make(1)[1])
    fresh.load_state_dict(both.state_dict())
    fresh.restore_gradients(pending)
    assert torch.equal(fresh["generator"].pending_gradients()[0], pending["generator"][0])
