from __future__ import annotations

import itertools
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visuite.engine.logging import MessageHub
from visuite.engine.registry import LOG_PROCESSORS
from visuite.engine.runner.log_processor import LogProcessor, peak_memory

_numbers = itertools.count()


@pytest.fixture
def runner() -> Any:
    """A run after 100 of 391 iterations of its first of 3 epochs."""
    hub = MessageHub(f"log {next(_numbers)}")
    for done in range(100):
        hub.update_scalars(
            {
                "train/lr": 0.1,
                "train/data_time": 0.01,
                "train/time": 0.25,
                "train/loss": torch.tensor(float(done)),
                "train/acc": done / 2,
            }
        )
        hub.update_scalars({"val/time": 0.1 + (done < 50), "val/data_time": 0.01})
    hub.update_scalar("val/accuracy/top1", 71.234567)
    hub.update_scalar("val/tiny", 1.5e-6)
    hub.update_info_dict({"eta": 751.9, "iter": 99, "epoch": 0, "val/per_class": [0.5, 1.0]})
    loops = {f"{mode}_loop": SimpleNamespace(dataloader=range(size)) for mode, size in (("train", 391), ("val", 50))}
    return SimpleNamespace(
        message_hub=hub,
        **loops,
        test_loop=loops["val_loop"],
        epoch=0,
        iter=99,
        max_epochs=3,
        max_iters=1173,
        device=torch.device("cpu"),
    )


def without_memory(line: str) -> str:
    assert re.search(r"memory: [1-9]\d*", line)
    return re.sub(r"  memory: \d+", "", line)


def test_a_line_of_training(runner: Any) -> None:
    tag, line = LogProcessor().get_log_after_iter(runner, 99, "train")
    assert without_memory(line) == (
        "Epoch(train) [1][100/391]  lr: 1.0000e-01  eta: 0:12:31  time: 0.2500  data_time: 0.0100  "
        "loss: 94.5000  acc: 49.5000"
    )
    memory = tag.pop("memory")
    assert memory > 0
    expected = {"lr": 0.1, "data_time": 0.01, "time": 0.25, "loss": 94.5, "acc": 49.5, "epoch": 1, "iter": 100}
    assert tag == pytest.approx(expected)


def test_a_line_of_training_by_iterations(runner: Any) -> None:
    tag, line = LogProcessor(by_epoch=False).get_log_after_iter(runner, 99, "train")
    assert line.startswith("Iter(train) [ 100/1173]  lr: 1.0000e-01  eta: 0:12:31  ")
    assert "epoch" not in tag


def test_numbers_keep_their_columns(runner: Any) -> None:
    runner.max_epochs = 100
    runner.message_hub.update_info("max_epochs", 100)
    _, early = LogProcessor().get_log_after_iter(runner, 4, "train")
    _, late = LogProcessor().get_log_after_iter(SimpleNamespace(**{**vars(runner), "epoch": 99}), 99, "train")
    assert early.startswith("Epoch(train)   [1][  5/391]  ")
    assert late.startswith("Epoch(train) [100][100/391]  ")
    runner.epoch = 1
    assert LogProcessor().get_log_after_epoch(runner, 50, "val")[1].startswith("Epoch(val)   [1][50/50]    ")


@pytest.mark.parametrize(("mode", "start"), [("val", "Epoch(val) [0][ 5/50]"), ("test", "Epoch(test) [ 5/50]")])
def test_evaluation_shows_its_speed_alone(runner: Any, mode: str, start: str) -> None:
    if mode == "test":
        runner.message_hub.update_scalars({"test/time": 0.1, "test/data_time": 0.01})
    _, line = LogProcessor().get_log_after_iter(runner, 4, mode)
    assert without_memory(line) == f"{start}  eta: 0:12:31  time: 0.1000  data_time: 0.0100"


def test_metrics_after_an_evaluation(runner: Any) -> None:
    tag, line = LogProcessor().get_log_after_epoch(runner, 50, "val")
    assert line == (
        "Epoch(val) [0][50/50]    accuracy/top1: 71.2346  tiny: 1.5000e-06  per_class: [0.5, 1.0]  "
        "time: 0.1000  data_time: 0.0100"
    )
    # The time is a mean over this evaluation, not over the one before (1.1 s).
    assert tag == pytest.approx({"accuracy/top1": 71.234567, "tiny": 1.5e-6, "time": 0.1, "data_time": 0.01})
    tag, _ = LogProcessor(by_epoch=False).get_log_after_epoch(runner, 50, "val", with_non_scalar=True)
    assert tag["per_class"] == [0.5, 1.0]
    with pytest.raises(ValueError, match="'val' or 'test'"):
        LogProcessor().get_log_after_epoch(runner, 50, "train")


def test_names_with_their_stage(runner: Any) -> None:
    processor = LogProcessor(log_with_hierarchy=True, num_digits=1)
    tag, line = processor.get_log_after_iter(runner, 99, "train")
    assert tag["train/loss"] == 94.5
    assert "  loss: 94.5  " in line
    tag, line = processor.get_log_after_epoch(runner, 50, "val")
    assert set(tag) == {"val/accuracy/top1", "val/tiny", "val/time", "val/data_time"}
    assert "val/accuracy/top1: 71.2  " in line


def test_smoothing_of_chosen_scalars(runner: Any) -> None:
    processor = LogProcessor(
        custom_cfg=[
            {"data_src": "loss", "log_name": "loss_all", "method_name": "mean", "window_size": "global"},
            {"data_src": "loss", "log_name": "loss_low", "method_name": "min", "window_size": "epoch"},
            {"data_src": "train/acc", "method_name": "max", "window_size": 5},
            {"data_src": "loss", "log_name": "loss_now", "method_name": "current"},
            {"data_src": "absent", "method_name": "max"},
        ]
    )
    tag, line = processor.get_log_after_iter(runner, 29, "train")
    assert (tag["loss"], tag["loss_all"], tag["loss_low"], tag["loss_now"], tag["acc"]) == (94.5, 49.5, 70, 99, 49.5)
    assert line.endswith("loss_all: 49.5000  loss_low: 70.0000  loss_now: 99.0000")


WINDOWS = {3: 3, 1: 1, "epoch": 30, "global": 100, None: 10}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("method", "of"), [("mean", np.mean), ("max", np.max), ("min", np.min), ("current", None)])
@pytest.mark.parametrize("source", ["wave", "train/wave", "bare"])
def test_every_statistic_over_every_window(runner: Any, window: Any, method: str, of: Any, source: str) -> None:
    wave = np.random.default_rng(0).normal(size=100)
    for value in wave:
        runner.message_hub.update_scalars({"train/wave": value, "bare": value})
    rule = {"data_src": source, "log_name": "seen", "method_name": method}
    processor = LogProcessor(custom_cfg=[{**rule, **({} if window is None else {"window_size": window})}])
    tag, line = processor.get_log_after_iter(runner, 29, "train")
    expected = wave[-1] if of is None else of(wave[-WINDOWS[window] :])
    assert tag["seen"] == pytest.approx(expected)
    assert f"seen: {expected:.4f}" in line
    assert "bare" not in tag


def test_a_scalar_that_nobody_logs_is_told_once(runner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known = [{"data_src": name} for name in ("acc", "train/lr", "val/tiny", "accuracy/top1")]
    processor = LogProcessor(custom_cfg=[*known, {"data_src": "accuracy/top", "method_name": "max"}])
    for _ in range(2):
        processor.get_log_after_epoch(runner, 50, "val")
    said = capsys.readouterr().out
    assert said.count("asks for") == 1
    assert "'accuracy/top', which nobody logs; did you mean 'accuracy/top1'" in said


def test_what_is_smoothed_is_chosen_by_name(runner: Any) -> None:
    tag, _ = LogProcessor(window_size=2, mean_pattern="acc").get_log_after_iter(runner, 99, "train")
    assert (tag["loss"], tag["acc"]) == (99, 49.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"custom_cfg": [{"data_src": "loss"}, {"data_src": "loss", "method_name": "max"}]}, "two things as 'loss'"),
        ({"custom_cfg": [{"data_src": "loss", "window_size": "epoch"}], "by_epoch": False}, "by_epoch is False"),
        ({"custom_cfg": [{"data_src": "loss", "window_size": "foo"}]}, "'epoch' or 'global', not 'foo'"),
        ({"custom_cfg": [{"method_name": "mean"}]}, "needs 'data_src'"),
        ({"custom_cfg": {"data_src": "loss"}}, "list of dicts"),
        ({"window_size": 0}, "window_size is a positive number"),
    ],
)
def test_bad_options(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        LogProcessor(**arguments)


def test_an_unknown_statistic_names_the_nearest(runner: Any) -> None:
    processor = LogProcessor(custom_cfg=[{"data_src": "loss", "method_name": "maen", "window_size": 3}])
    with pytest.raises(KeyError, match="did you mean 'mean'"):
        processor.get_log_after_iter(runner, 99, "train")


def test_a_stream_has_no_length(runner: Any) -> None:
    runner.val_loop.dataloader = iter(range(3))
    assert LogProcessor().get_log_after_iter(runner, 4, "val")[1].startswith("Epoch(val) [0][5]  ")


def test_is_built_by_name() -> None:
    assert LOG_PROCESSORS.build({"type": "LogProcessor", "window_size": 3}).window_size == 3


def test_memory_grows_with_what_is_held() -> None:
    before = peak_memory(torch.device("cpu"))
    if before is None:
        pytest.skip("this system does not say")
    held = torch.ones(120 * 2**18)  # 120 MB
    after = peak_memory(torch.device("cpu"))
    assert held.numel()
    assert after is not None
    assert after >= before
    assert after > 120
