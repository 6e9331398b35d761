"""Stopping early, and stopping at the same place after resuming."""

from __future__ import annotations

import math
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.hooks import EarlyStoppingHook
from visuite.engine.logging import MessageHub
from visuite.engine.runner import Runner


def fake_runner():
    """The parts of a run that the hook sees."""
    told: list[str] = []
    return types.SimpleNamespace(
        spec=types.SimpleNamespace(train_cfg={}),
        train_loop=types.SimpleNamespace(stop_training=False),
        message_hub=MessageHub(f"early-{id(told)}"),
        logger=types.SimpleNamespace(info=told.append, warning=told.append),
        told=told,
    )


def epochs_until_stop(scores, **options):
    """Return after which score training stops, or None."""
    runner, hook = fake_runner(), EarlyStoppingHook("score", **{"rule": "greater", **options})
    for number, score in enumerate(scores, 1):
        hook.after_val_epoch(runner, {"score": score})
        if runner.train_loop.stop_training:
            return number
    return None


@pytest.mark.parametrize(
    ("scores", "options", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], dict(patience=1), None),
        ([1, 1, 1, 1], dict(patience=2), 3),
        ([1, 1.05, 1.09, 1.11], dict(patience=2), 3),  # small steps are none, and the best stays the first
        ([1, 1.05, 1.11, 1.2], dict(patience=2), None),
        ([1, 1.05, 1.11, 1.2, 1.2], dict(patience=2), 5),
        ([5, 4, 3, 3, 3], dict(rule="less", patience=2), 5),
        ([1, math.nan], dict(patience=3), 2),
        ([1, math.inf], dict(patience=3), 2),
        ([1, math.nan, math.nan], dict(patience=2, check_finite=False), 3),
        ([math.nan, 1, 2, 3], dict(patience=2, check_finite=False), None),
        ([0.1, 0.5, 0.9], dict(stopping_threshold=0.5), 2),
        ([0.9, 0.5, 0.1], dict(rule="less", stopping_threshold=0.5), 2),
    ],
)
def test_when_training_stops(scores, options, expected):
    assert epochs_until_stop(scores, **options) == expected


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.integers(1, 4), st.floats(0, 5))
def test_it_stops_after_patience_validations_without_progress(scores, patience, min_delta):
    best, waited, expected = -math.inf, 0, None
    for number, score in enumerate(scores, 1):
        waited = 0 if score - best > min_delta else waited + 1
        best = score if not waited else best
        if waited >= patience:
            expected = number
            break
    assert epochs_until_stop(scores, patience=patience, min_delta=min_delta) == expected


def test_a_metric_that_is_not_there_is_told():
    runner = fake_runner()
    EarlyStoppingHook("coco/mAP").after_val_epoch(runner, {"coco/bbox_mAP": 1.0})
    assert "did you mean 'coco/bbox_mAP'" in runner.told[0]
    assert not runner.train_loop.stop_training
    with pytest.raises(KeyError, match="coco/mAP"):
        EarlyStoppingHook("coco/mAP", strict=True).after_val_epoch(runner, {"coco/bbox_mAP": 1.0})


def test_rules_come_from_names():
    assert EarlyStoppingHook("coco/bbox_mAP").sign == 1
    assert EarlyStoppingHook("loss").sign == -1
    with pytest.raises(ValueError, match="cannot be told from its name"):
        EarlyStoppingHook("fid")
    with pytest.raises(ValueError, match="'greater' or 'less'"):
        EarlyStoppingHook("fid", rule="more")
    with pytest.raises(ValueError, match="patience"):
        EarlyStoppingHook("acc", patience=0)


@pytest.mark.parametrize("stop", [11, 16, 18])
def test_a_resumed_run_stops_where_the_whole_one_does(tmp_path, stop):
    hook = dict(type="EarlyStoppingHook", monitor="toy/accuracy", patience=2, min_delta=10)
    options = dict(
        train_cfg=dict(by_epoch=True, max_epochs=9, val_begin=2),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False)),
    )
    whole = Runner.from_cfg(config(tmp_path / "whole", custom_hooks=[hook], **options))
    whole.train()
    assert whole.epoch == 4  # the validation after epoch 2 is the best, two more bring nothing
    with pytest.raises(Stop):
        Runner.from_cfg(config(tmp_path / "parts", custom_hooks=[hook, StopAt(stop)], **options)).train()
    resumed = Runner.from_cfg(config(tmp_path / "parts", custom_hooks=[hook], resume=True, **options))
    resumed.train()
    assert resumed.epoch == 4
    assert_same_bits(weights(resumed.model), weights(whole.model))


def test_training_by_iterations_stops_too(tmp_path):
    hook = dict(type="EarlyStoppingHook", monitor="toy/accuracy", patience=2, min_delta=10)
    loop = dict(by_epoch=False, max_iters=15, val_interval=3)
    runner = Runner.from_cfg(config(tmp_path, custom_hooks=[hook], train_cfg=loop))
    runner.train()
    assert runner.iter == 9


def test_a_missing_metric_ends_a_strict_run(tmp_path):
    hook = dict(type="EarlyStoppingHook", monitor="toy/acuracy", rule="greater", strict=True)
    with pytest.raises(KeyError, match="did you mean 'toy/accuracy'"):
        Runner.from_cfg(config(tmp_path, custom_hooks=[hook])).train()


def test_a_run_without_validation_is_told(tmp_path, capfd):
    hook = dict(type="EarlyStoppingHook", monitor="toy/accuracy")
    nothing = dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator"))
    runner = Runner.from_cfg(config(tmp_path, custom_hooks=[hook], **nothing))
    runner.train()
    assert runner.iter == 15
    assert "early stopping watches 'toy/accuracy', and this run has no validation" in capfd.readouterr().out
