"""What docs/hooks.md shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.engine.hooks.data import PipedData, ToPoint
from visuite.engine.dataset import SampleKey
from visuite.engine.hooks import Hook
from visuite.engine.registry import HOOKS

TEXT = Path(__file__).parents[3].joinpath("docs/hooks.md").read_text()


@pytest.fixture(scope="module")
def said():
    """What all snippets together leave, and the hooks they configure."""
    names: dict = {}
    configs: list = []
    for snippet in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        names.pop("custom_hooks", None)
        exec(compile(snippet, "docs/hooks.md", "exec"), names)
        configs += names.get("custom_hooks", [])
    return names, [*configs, names["default_hooks"]["preemption"]]


def test_every_hook_shown_can_be_built(said):
    assert len(said[1]) >= 9
    for cfg in said[1]:
        cfg = {key: value for key, value in cfg.items() if key != "priority"}
        assert isinstance(HOOKS.build(cfg), Hook)


def test_every_hook_of_the_engine_that_a_user_adds_is_explained():
    added = {"EMAHook", "EarlyStoppingHook", "CheckInvalidLossHook", "PipelineSwitchHook", "SwitchRecipeHook",
             "PreemptionHook", "ProfilerHook", "SyncBuffersHook", "EmptyCacheHook"}  # fmt: skip
    assert added <= set(re.findall(r'type="(\w+)"', TEXT))


def test_a_reported_batch_can_be_made_again(said):
    data = PipedData(pipeline=[ToPoint()])
    met = [data[SampleKey(i, 7, 2)] for i in (3, 5)]
    again = said[0]["bad_batch"](data, dict(seed=7, epoch=3, indices=[3, 5]))
    assert all((one[0] == other[0]).all() for one, other in zip(met, again, strict=True))
