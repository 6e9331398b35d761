"""From a component to the trackers: what the message hub carries, and what the log processor makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.runner.toy import ToyNet
from tests.engine.visualization.tracked import build, curves
from visuite.engine.hooks import Hook
from visuite.engine.logging import MessageHub
from visuite.engine.registry import HOOKS, MODELS


class Treasure:
    """An object of no known kind."""


@HOOKS.register_module()
class TreasureHook(Hook):
    """Puts an object where the model finds it."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        runner.message_hub.update_info("treasure", self.treasure if batch_idx else Treasure())
        self.treasure = runner.message_hub.get_info("treasure")


@MODELS.register_module()
class TalkingNet(ToyNet):
    """Tells of a number per iteration, and keeps what the hub brings it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margins: list[float] = []
        self.found: list[Any] = []

    def forward(self, inputs, labels=None, mode="tensor"):
        if mode == "loss":
            hub = MessageHub.get_current_instance()
            self.margins.append(float(inputs.abs().max()))
            self.found.append(hub.get_info("treasure"))
            hub.update_scalar("train/margin", self.margins[-1])
        return super().forward(inputs, labels, mode)


def test_any_scalar_of_any_component_is_smoothed_into_the_trackers(tmp_path):
    smooth = dict(data_src="margin", log_name="margin_mean", method_name="mean", window_size=3)
    most = dict(data_src="margin", log_name="margin_most", method_name="max", window_size="global")
    runner = build(
        tmp_path,
        model=dict(type="TalkingNet"),
        log_processor=dict(type="LogProcessor", custom_cfg=[smooth, most]),
        custom_hooks=[dict(type="TreasureHook")],
    )
    runner.train()
    margins, told = runner.model.margins, curves(runner)
    assert len(set(margins)) == len(margins) == 15
    assert [step for step, _ in told["margin_mean"]] == [2, 4, 7, 9, 12, 14]
    for step, mean in told["margin_mean"]:
        last = margins[max(step - 3, 0) : step]
        assert mean == pytest.approx(sum(last) / len(last))
    assert told["margin_most"] == [(step, pytest.approx(max(margins[:step]))) for step, _ in told["margin_mean"]]


def test_the_hub_carries_anything_to_anybody(tmp_path):
    runner = build(tmp_path, model=dict(type="TalkingNet"), custom_hooks=[dict(type="TreasureHook")])
    runner.train()
    found = runner.model.found
    assert {type(one) for one in found} == {Treasure}
    assert len({id(one) for one in found}) == 3  # one an epoch, the very objects
    assert runner.message_hub.get_info("treasure") is found[-1]
