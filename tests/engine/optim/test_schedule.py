"""Schedules against closed forms, over any window; composition; state."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from visuite.engine import optim
from visuite.engine.logging import MMLogger
from visuite.engine.optim import OptimWrapper
from visuite.engine.optim.schedule import curves
from visuite.engine.registry import PARAM_SCHEDULERS

BASE = (0.1, 0.01)
LENGTH = 40


def make_optimizer(kind=torch.optim.SGD, **options) -> torch.optim.Optimizer:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    return kind([dict(params=[first]), dict(params=[second], lr=BASE[1])], lr=BASE[0], **options)


def values(optimizer, schedulers, steps: int = LENGTH, key: str = "lr") -> list[tuple[float, ...]]:
    """The value of each group when each step begins."""
    seen = []
    for _ in range(steps):
        seen.append(tuple(group[key] for group in optimizer.param_groups))
        for scheduler in schedulers:
            scheduler.step()
    return seen


def scheduled(**cfg) -> list[tuple[float, ...]]:
    optimizer = make_optimizer()
    return values(optimizer, [PARAM_SCHEDULERS.build(dict(cfg, optimizer=optimizer))])


windows = st.tuples(st.integers(0, 15), st.integers(2, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def held(formula, window, **cfg):
    """Hold a schedule against value(base, t), which is asked inside the window and keeps its last value after it."""
    begin, end = window
    found = scheduled(**{"begin": begin, "end": end, **cfg})
    for step, pair in enumerate(found):
        t = min(step, end - 1) - begin
        for base, value in zip(BASE, pair, strict=True):
            assert value == pytest.approx(base if t < 0 else formula(base, t), rel=1e-9, abs=1e-12)


@given(windows, st.floats(0.01, 1))
def test_constant(window, factor):
    length = window[1] - window[0]
    held(lambda base, t: base * (factor if t < length - 1 else 1), window, type="ConstantLR", factor=factor)


@given(windows, st.floats(0.01, 1), st.floats(0.01, 1))
def test_linear(window, start, stop):
    total = window[1] - window[0] - 1
    held(
        lambda base, t: base * (start + (stop - start) * t / total),
        window,
        type="LinearLR",
        start_factor=start,
        end_factor=stop,
    )


@given(windows, st.floats(0.5, 1.05))
def test_exponential(window, gamma):
    held(lambda base, t: base * gamma**t, window, type="ExponentialLR", gamma=gamma)


@given(windows, st.integers(1, 9))
def test_step(window, size):
    held(lambda base, t: base * 0.5 ** (t // size), window, type="StepLR", step_size=size, gamma=0.5)


@given(windows, st.lists(st.integers(0, 30), max_size=4))
def test_multi_step(window, milestones):
    held(
        lambda base, t: base * 0.3 ** sum(m <= t for m in milestones),
        window,
        type="MultiStepLR",
        milestones=milestones,
        gamma=0.3,
    )


@given(windows, st.floats(0, 0.005), st.integers(1, 40))
def test_cosine_goes_down_and_up_again(window, low, period):
    held(
        lambda base, t: low + (base - low) * (1 + math.cos(math.pi * t / period)) / 2,
        window,
        type="CosineAnnealingLR",
        eta_min=low,
        T_max=period,
    )


@given(windows, st.floats(0, 1))
def test_cosine_to_a_share_takes_the_windows_length(window, ratio):
    length = window[1] - window[0]
    held(
        lambda base, t: base * (ratio + (1 - ratio) * (1 + math.cos(math.pi * t / length)) / 2),
        window,
        type="CosineAnnealingLR",
        eta_min_ratio=ratio,
    )


@given(windows, st.floats(0, 0.005), st.floats(0.5, 3))
def test_poly(window, low, power):
    total = window[1] - window[0] - 1
    held(lambda base, t: low + (base - low) * (1 - t / total) ** power, window, type="PolyLR", eta_min=low, power=power)


@given(windows)
def test_poly_to_a_share(window):
    total = window[1] - window[0] - 1
    held(lambda base, t: base * (0.1 + 0.9 * (1 - t / total)), window, type="PolyLRRatio", eta_min_ratio=0.1)


@given(windows)
def test_quadratic_warmup(window):
    length = window[1] - window[0]
    held(lambda base, t: base * ((t + 1) / length) ** 2, window, type="QuadraticWarmupLR")


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.1, 1)), min_size=1, max_size=4), st.integers(0, 5))
def test_restarts(periods, begin):
    lengths, weights = [p for p, _ in periods], [w for _, w in periods]

    def formula(base, t):
        t = min(t, sum(lengths) - 1)
        k = next(k for k in range(len(lengths)) if t < sum(lengths[: k + 1]))
        t -= sum(lengths[:k])
        return 0.001 + (weights[k] * base - 0.001) * (1 + math.cos(math.pi * t / lengths[k])) / 2

    held(formula, (begin, 10**9), type="CosineRestartLR", periods=lengths, restart_weights=weights, eta_min=0.001)


@given(st.integers(2, LENGTH), st.floats(0.05, 0.95), st.booleans(), st.sampled_from(["cos", "linear"]))
def test_one_cycle_equals_torchs(total, share, three_phase, strategy):
    share = share / 2 if three_phase else share
    assume(abs(share * total - 1) > 1e-6)  # torch divides by zero where the top is at step 0
    ours, theirs = make_optimizer(), make_optimizer()
    cycle = dict(pct_start=share, three_phase=three_phase, anneal_strategy=strategy, final_div_factor=50)
    scheduler = optim.OneCycleLR(ours, eta_max=0.4, total_steps=total, **cycle)
    reference = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.4, total_steps=total, cycle_momentum=False, **cycle)
    for step in range(total):
        for mine, their in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert mine["lr"] == pytest.approx(their["lr"], rel=1e-9)
        scheduler.step()
        if step < total - 1:
            theirs.step()
            reference.step()
    last = ours.param_groups[0]["lr"]
    scheduler.step()
    assert ours.param_groups[0]["lr"] == last


def test_cosine_touches_its_floor_exactly():
    assert [curves.half_cosine(t, 7) for t in (0, 7, 14, 21)] == [1, 0, 1, 0]
    assert curves.half_cosine(999_999, 1_000_000) == pytest.approx((math.pi / 2e6) ** 2, rel=1e-9)


def test_schedules_compose_and_groups_keep_their_scale():
    optimizer = make_optimizer()
    warm = optim.LinearLR(optimizer, start_factor=0.1, end=10)
    steps = optim.MultiStepLR(optimizer, milestones=[5, 20], gamma=0.5)
    for step, pair in enumerate(values(optimizer, [warm, steps])):
        factor = (0.1 + 0.9 * min(step, 9) / 9) * 0.5 ** ((step >= 5) + (step >= 20))
        assert pair == pytest.approx([base * factor for base in BASE], rel=1e-9)


def test_rises_from_zero():
    assert [pair[0] for pair in scheduled(type="LinearLR", start_factor=0.0, end=5)[:5]] == pytest.approx(
        [0, 0.025, 0.05, 0.075, 0.1]
    )


def test_momentum_or_the_first_beta():
    sgd, adam = make_optimizer(momentum=0.8), make_optimizer(torch.optim.Adam)
    for optimizer, read in ((sgd, lambda g: g["momentum"]), (adam, lambda g: g["betas"][0])):
        start = read(optimizer.param_groups[0])
        scheduler = optim.LinearMomentum(optimizer, start_factor=0.5, end=3)
        seen = [read(optimizer.param_groups[1])]
        for _ in range(3):
            scheduler.step()
            seen.append(read(optimizer.param_groups[1]))
        assert seen == pytest.approx([start * f for f in (0.5, 0.75, 1, 1)])
    assert adam.param_groups[0]["betas"][1] == 0.999
    with pytest.raises(ValueError, match="'momentum' or 'betas'"):
        optim.LinearMomentum(make_optimizer(torch.optim.Adagrad))


def test_rates_that_are_tensors_stay_the_same_tensors():
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = optim.StepLR(optimizer, step_size=1)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.01)


def test_base_settings_of_a_wrapper_follow():
    wrapper = OptimWrapper(make_optimizer())
    scheduler = optim.ExponentialLR(wrapper, gamma=0.5)
    scheduler.step()
    assert wrapper.get_lr() == {"base_lr": [0.05], "lr": [0.05, 0.005]}
    assert scheduler.get_last_value() == [0.05, 0.005, 0.05]


CONFIGS = [
    dict(type="LinearLR", start_factor=0.1, begin=2, end=9),
    dict(type="ConstantLR", factor=0.3, end=7),
    dict(type="CosineAnnealingLR", T_max=6, eta_min=0.001),
    dict(type="CosineRestartLR", periods=[4, 9], restart_weights=[1, 0.5]),
    dict(type="OneCycleLR", eta_max=0.3, total_steps=14),
    dict(type="PolyLR", power=0.9, end=12),
    dict(type="MultiStepLR", milestones=[3, 8]),
    dict(type="QuadraticWarmupLR", end=9),
    dict(type="ExponentialLR", gamma=0.7),
    dict(type="StepLR", step_size=4),
]


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda cfg: cfg["type"])
@pytest.mark.parametrize("stop", [1, 5, 11])
def test_resumed_schedules_have_the_same_bits(cfg, stop):
    whole = scheduled(**cfg)
    optimizer = make_optimizer()
    scheduler = PARAM_SCHEDULERS.build(dict(cfg, optimizer=optimizer))
    values(optimizer, [scheduler], stop)
    saved, options = scheduler.state_dict(), optimizer.state_dict()
    again = make_optimizer()
    fresh = PARAM_SCHEDULERS.build(dict(cfg, optimizer=again))
    again.load_state_dict(options)
    fresh.load_state_dict(saved)
    assert values(again, [fresh], LENGTH - stop) == whole[stop:]
    assert not fresh.plan_changes(saved)


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda cfg: cfg["type"])
def test_states_are_plain_and_hold_the_documented_keys(cfg, tmp_path):
    scheduler = PARAM_SCHEDULERS.build(dict(cfg, optimizer=make_optimizer()))
    state = scheduler.state_dict()
    torch.save(state, tmp_path / "state.pth")
    assert torch.load(tmp_path / "state.pth", weights_only=True) == state
    keys = {"param_name", "begin", "end", "by_epoch", "base_values", "last_step", "_global_step", "_last_value"}
    assert keys <= state.keys()
    arguments = (inspect.signature(type(scheduler)).parameters.keys() & cfg.keys()) - {"milestones"}
    assert all(state[name] == cfg[name] for name in arguments)


def test_a_changed_plan_goes_on_from_the_saved_position_and_is_told():
    optimizer = make_optimizer()
    old = optim.CosineAnnealingLR(optimizer, T_max=10)
    values(optimizer, [old], 5)
    fresh = optim.CosineAnnealingLR(optimizer, T_max=20)
    assert fresh.plan_changes(old.state_dict()) == {"T_max": (10, 20)}
    fresh.load_state_dict(old.state_dict())
    assert fresh.last_step == 5
    rest = values(optimizer, [fresh], 16)
    assert rest[-1] == pytest.approx((0, 0), abs=1e-12)


def test_states_of_other_optimizers_are_refused():
    state = optim.StepLR(make_optimizer(), step_size=1).state_dict()
    other = optim.StepLR(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1), step_size=1)
    with pytest.raises(ValueError, match="2 parameter groups, the optimizer 1"):
        other.load_state_dict(state)


def test_last_step_goes_on_with_initial_values():
    with pytest.raises(KeyError, match="initial_lr"):
        optim.CosineAnnealingLR(make_optimizer(), T_max=10, last_step=3)
    optimizer = make_optimizer()
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    assert optim.CosineAnnealingLR(optimizer, T_max=10, last_step=3).last_step == 4


@pytest.mark.parametrize(
    ("cfg", "converted"),
    [
        (dict(type="LinearLR", begin=0.5, end=2), dict(begin=3, end=14)),
        (dict(type="CosineAnnealingLR", T_max=3, end=4), dict(T_max=21, end=28)),
        (dict(type="CosineAnnealingLR", begin=1, end=4), dict(T_max=21, begin=7)),
        (dict(type="MultiStepLR", milestones=[1, 3, 3]), dict(milestones={7: 1, 21: 2}, end=10**9)),
        (dict(type="StepLR", step_size=2), dict(step_size=14)),
        (dict(type="OneCycleLR", total_steps=4), dict(total_steps=28)),
        (dict(type="CosineRestartLR", periods=[1, 2], restart_weights=[1, 1]), dict(periods=[7, 14])),
        (dict(type="LinearParamScheduler", param_name="weight_decay", end=2), dict(end=14)),
    ],
)
def test_epochs_become_iterations(cfg, converted):
    kind = PARAM_SCHEDULERS.get(cfg.pop("type"))
    scheduler = kind.build_iter_from_epoch(make_optimizer(), epoch_length=7, **cfg)
    assert not scheduler.by_epoch
    assert {key: scheduler.state_dict()[key] for key in converted} == converted


def test_only_epochs_are_converted():
    with pytest.raises(ValueError, match="by_epoch is False"):
        optim.LinearLR.build_iter_from_epoch(make_optimizer(), epoch_length=7, by_epoch=False)
    with pytest.raises(ValueError, match="epoch_length"):
        optim.LinearLR.build_iter_from_epoch(make_optimizer(), epoch_length=0)


@pytest.mark.parametrize(
    ("cfg", "error", "words"),
    [
        (dict(type="LinearLR", begin=3, end=3), ValueError, "begin < end, not 3 and 3"),
        (dict(type="StepLR", step_size=1, begin=-1), ValueError, "not -1"),
        (dict(type="LinearLR", start_facto=0.1), TypeError, "'start_factor'"),
        (dict(type="LinearLR", start_factor=1.5), ValueError, "start_factor"),
        (dict(type="LinearLR", start_factor=0.1, ende=3), TypeError, "'end'"),
        (dict(type="LinearRL"), KeyError, "LinearLR"),
        (dict(type="MultiStepLR"), TypeError, "'milestones'"),
        (dict(type="CosineAnnealingLR", eta_min=0.1, eta_min_ratio=0.1), ValueError, "not both"),
        (dict(type="CosineAnnealingLR", T_max=0), ValueError, "T_max"),
        (dict(type="OneCycleLR", eta_max=1), ValueError, "total_steps"),
        (dict(type="OneCycleLR", eta_max=1, total_steps=5, anneal_strategy="cosine"), ValueError, "'cos'"),
        (dict(type="OneCycleLR", total_steps=5, pct_start=0.6, three_phase=True), ValueError, "at most 0.5"),
        (dict(type="CosineRestartLR", periods=[1, 2]), ValueError, "1 restart_weights are given for 2"),
        (dict(type="QuadraticWarmupLR"), ValueError, "needs end"),
        (dict(type="LinearParamScheduler", param_name="weigth_decay"), KeyError, "'weight_decay'"),
        (dict(type="ReduceOnPlateauLR", rule="lesser"), ValueError, "'less'"),
        (dict(type="ReduceOnPlateauLR", by_epoch=False), ValueError, "by_epoch"),
        (dict(type="ReduceOnPlateauLR", factor=1.0), ValueError, "factor"),
        (dict(type="ReduceOnPlateauLR", min_value=[1, 2, 3]), ValueError, "3 entries for 2"),
    ],
)
def test_bad_arguments_are_told(cfg, error, words):
    with pytest.raises(error, match=words):
        PARAM_SCHEDULERS.build(dict(cfg, optimizer=make_optimizer()))


def test_twins_show_their_own_signature_and_words():
    shown = list(inspect.signature(optim.LinearLR).parameters)
    window = ["begin", "end", "last_step", "by_epoch", "verbose"]
    assert shown == ["optimizer", "start_factor", "end_factor", *window]
    assert list(inspect.signature(optim.LinearParamScheduler).parameters)[:2] == ["optimizer", "param_name"]
    assert "the learning rate" in optim.LinearLR.__doc__
    assert "param_name" not in optim.LinearMomentum.__doc__
    assert issubclass(optim.ReduceOnPlateauLR, optim.ReduceOnPlateauParamScheduler)


def test_verbose_prints_each_value(capsys):
    MMLogger.get_instance("verbose")  # the current one now: others may be as silent as the last run wanted
    optim.StepLR(make_optimizer(), step_size=1, verbose=True).step()
    assert "lr of group 1 is 1.0000e-03" in "".join(capsys.readouterr())


@pytest.mark.parametrize("rule", ["less", "greater"])
@pytest.mark.parametrize("threshold_rule", ["rel", "abs"])
@given(
    metrics=st.lists(st.floats(0.01, 2), min_size=1, max_size=30),
    patience=st.integers(0, 3),
    cooldown=st.integers(0, 2),
)
def test_plateau_equals_torchs(rule, threshold_rule, metrics, patience, cooldown):
    ours, theirs = make_optimizer(), make_optimizer()
    common = dict(factor=0.5, patience=patience, cooldown=cooldown, threshold=0.05)
    scheduler = optim.ReduceOnPlateauLR(
        ours, monitor="m", rule=rule, threshold_rule=threshold_rule, min_value=1e-3, **common
    )
    mode = {"less": "min", "greater": "max"}[rule]
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, mode=mode, threshold_mode=threshold_rule, min_lr=1e-3, **common
    )
    for metric in metrics:
        scheduler.step()  # an epoch without validation changes nothing
        scheduler.step({"m": metric, "other": 0.0})
        reference.step(metric)
        assert [g["lr"] for g in ours.param_groups] == [g["lr"] for g in theirs.param_groups]


def test_plateau_resumes_exactly():
    metrics = [1.0, 0.9, 0.95, 0.96, 0.97, 0.8, 0.9, 0.9, 0.9]

    def go(optimizer, scheduler, part):
        seen = []
        for metric in part:
            scheduler.step({"loss": metric})
            seen.append(optimizer.param_groups[0]["lr"])
        return seen

    def make():
        optimizer = make_optimizer()
        return optimizer, optim.ReduceOnPlateauLR(optimizer, patience=1, factor=0.5)

    whole = go(*make(), metrics)
    optimizer, scheduler = make()
    go(optimizer, scheduler, metrics[:4])
    again, fresh = make()
    again.load_state_dict(optimizer.state_dict())
    fresh.load_state_dict(scheduler.state_dict())
    assert go(again, fresh, metrics[4:]) == whole[4:]
    with pytest.raises(KeyError, match="'loss'"):
        fresh.step({"lose": 1.0})
