"""Rates of every iteration against loops over the formulas, and the bits of resumed runs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.hooks import Hook
from visuite.engine.runner import Runner
from visuite.yolo.hooks import PPYOLOEParamSchedulerHook, YOLOv5ParamSchedulerHook
from visuite.yolo.hooks.schedule import Place

EPOCHS, LENGTH = 3, 5  # the toy has 20 samples in batches of 4
LR, MOMENTUM = 0.1, 0.9


class Rates(Hook):
    """Write down what each iteration trains with: by group its rate, and its momentum."""

    def __init__(self) -> None:
        self.seen: dict[int, dict[str, tuple[float, float]]] = {}
        self.logged: list[float] = []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        groups = runner.optim_wrapper.optimizer.param_groups
        self.seen[runner.iter] = {g.get("group_name", "all"): (g["lr"], g["momentum"]) for g in groups}
        self.logged.append(runner.message_hub.get_scalar("train/lr").current())


def run(work_dir: Any, hook: dict[str, Any], *others: Hook, **changes: Any) -> Runner:
    optimizer = {"type": "SGD", "lr": LR, "momentum": MOMENTUM, "weight_decay": 1e-3, "batch_size_per_gpu": 4}
    parts: dict[str, Any] = {
        "optim_wrapper": {"optimizer": optimizer, "constructor": "YOLOv5OptimizerConstructor"},
        "param_scheduler": None,
        "default_hooks": {
            "param_scheduler": hook,
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False},
        },
        "custom_hooks": list(others),
        "default_scope": "yolo",
    }
    return Runner.from_cfg(config(work_dir, **{**parts, **changes}))


def yolov5_rate(kind: str, epoch: int, iteration: int, *, length: int, bias: bool, factor: float) -> float:
    """The learning rate, written out."""
    share = epoch / EPOCHS
    if kind == "linear":
        now = LR * (1 - share) + LR * factor * share
    else:
        now = LR * factor + (LR - LR * factor) * 0.5 * (1 + math.cos(math.pi * share))
    begin = 0.2 if bias else 0.0
    return begin + (now - begin) * iteration / length if iteration < length else now


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize(
    ("warmup", "length"),
    [((1.4, 2), 7), ((1, 9), 9), ((0, 0), 0)],  # a warm-up of 1.4 epochs; of the least iterations; none
)
def test_yolov5_rates_and_momenta_are_those_of_the_formula(
    tmp_path: Any, kind: str, warmup: tuple[float, int], length: int
) -> None:
    rates = Rates()
    hook = {"type": "YOLOv5ParamSchedulerHook", "scheduler_type": kind, "lr_factor": 0.05, "max_epochs": EPOCHS}
    hook |= {"warmup_epochs": warmup[0], "warmup_mim_iter": warmup[1], "warmup_bias_lr": 0.2, "warmup_momentum": 0.5}
    run(tmp_path, hook, rates).train()
    assert len(rates.seen) == EPOCHS * LENGTH
    for i, groups in rates.seen.items():
        assert groups.keys() == {"weights", "norms", "biases"}
        momentum = 0.5 + (MOMENTUM - 0.5) * i / length if i < length else MOMENTUM
        for name, found in groups.items():
            expected = yolov5_rate(kind, i // LENGTH, i, length=length, bias=name == "biases", factor=0.05)
            assert found == pytest.approx((expected, momentum), rel=1e-12), (i, name)
    assert rates.logged == [groups["weights"][0] for groups in rates.seen.values()]


def test_yolov5_rates_of_a_run_with_one_group(tmp_path: Any) -> None:
    rates = Rates()
    hook = {"type": "YOLOv5ParamSchedulerHook", "max_epochs": EPOCHS, "warmup_epochs": 1, "warmup_mim_iter": 4}
    plain = {"optimizer": {"type": "SGD", "lr": LR, "momentum": MOMENTUM}}
    run(tmp_path, hook, rates, optim_wrapper=plain).train()
    assert rates.seen[0]["all"] == (0.0, 0.8)
    assert rates.seen[4]["all"] == pytest.approx((0.8 * LR, 0.8 + 0.1 * 4 / 5))
    assert rates.seen[14]["all"] == pytest.approx((LR * (1 - 0.99 * 2 / 3), MOMENTUM))


def test_ppyoloe_rates_are_those_of_the_formula(tmp_path: Any) -> None:
    rates = Rates()
    hook = {"type": "PPYOLOEParamSchedulerHook", "warmup_min_iter": 2, "warmup_epochs": 1, "start_factor": 0.25}
    run(tmp_path, {**hook, "min_lr_ratio": 0.1, "total_epochs": 4}, rates).train()
    whole = 4 * LENGTH
    for i, groups in rates.seen.items():
        if i < LENGTH:
            expected = LR * (0.25 + 0.75 * i / LENGTH)
        else:
            expected = 0.1 * LR + 0.9 * LR * (1 + math.cos(math.pi * (i - LENGTH) / (whole - LENGTH))) / 2
        assert len(groups) == 3
        for found in groups.values():
            assert found == (pytest.approx(expected, rel=1e-12), MOMENTUM), i


def test_a_cosine_that_is_over_stays_down() -> None:
    hook = PPYOLOEParamSchedulerHook(warmup_min_iter=0, warmup_epochs=0, min_lr_ratio=0.5, total_epochs=1)
    assert hook.values({"lr": 1.0}, Place(epoch=3, iteration=30, epoch_length=10)) == {"lr": 0.5}


HOOKS = {
    "yolov5": {
        "type": "YOLOv5ParamSchedulerHook", "max_epochs": 3, "warmup_epochs": 1.5, "warmup_mim_iter": 1,
        "scheduler_type": "cosine",
    },
    "ppyoloe": {"type": "PPYOLOEParamSchedulerHook", "warmup_min_iter": 1, "warmup_epochs": 1, "total_epochs": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("stop", [3, 5, 9])
def test_resuming_at_any_iteration_gives_the_same_bits(tmp_path: Any, name: str, stop: int) -> None:
    whole, first, second = Rates(), Rates(), Rates()
    never_stopped = weights(run(tmp_path / "whole", HOOKS[name], whole).train())
    with pytest.raises(Stop):
        run(tmp_path / "parts", HOOKS[name], first, StopAt(stop)).train()
    assert_same_bits(weights(run(tmp_path / "parts", HOOKS[name], second, resume=True).train()), never_stopped)
    assert {**first.seen, **second.seen} == whole.seen


def test_a_resumed_run_takes_the_rates_of_its_own_config(tmp_path: Any) -> None:
    with pytest.raises(Stop):
        run(tmp_path, HOOKS["ppyoloe"], StopAt(8)).train()
    changed = {"optimizer": {"type": "SGD", "lr": 2 * LR, "momentum": MOMENTUM, "weight_decay": 1e-3}}
    changed["constructor"] = "YOLOv5OptimizerConstructor"
    rates = Rates()
    run(tmp_path, HOOKS["ppyoloe"], rates, resume=True, optim_wrapper=changed).train()
    expected = 2 * LR * (1 + math.cos(math.pi * 3 / 15)) / 2
    assert rates.seen[8]["weights"][0] == pytest.approx(expected, rel=1e-12)


def test_what_cannot_be_is_told_before_training(tmp_path: Any) -> None:
    hook = HOOKS["yolov5"]
    with pytest.raises(ValueError, match="YOLOv5ParamSchedulerHook sets all rates by itself"):
        run(tmp_path, hook, param_scheduler={"type": "ConstantLR"}).train()
    with pytest.raises(ValueError, match="this run counts iterations alone"):
        run(tmp_path, hook, train_cfg={"by_epoch": False, "max_iters": 3}).train()
    with pytest.raises(ValueError, match="not 'cosin'; did you mean 'cosine'"):
        YOLOv5ParamSchedulerHook("cosin")
    with pytest.raises(ValueError, match="max_epochs is at least 1, not 0"):
        YOLOv5ParamSchedulerHook(max_epochs=0)
    with pytest.raises(ValueError, match="total_epochs is at least 1, not 0"):
        PPYOLOEParamSchedulerHook(total_epochs=0)
