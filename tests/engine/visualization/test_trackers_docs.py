"""What docs/trackers.md shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.engine.runner.toy import config
from tests.engine.visualization.tracked import curves
from visuite.engine.logging import MessageHub
from visuite.engine.registry import VISBACKENDS
from visuite.engine.runner import Runner
from visuite.engine.visualization import BaseVisBackend, TensorboardVisBackend

TEXT = Path(__file__).parents[3].joinpath("docs/trackers.md").read_text()


@pytest.fixture(scope="module")
def said():
    """The names that each snippet leaves."""
    left = []
    for snippet in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        names: dict = {}
        exec(compile(snippet, "docs/trackers.md", "exec"), names)
        left.append(names)
    return left


def test_every_backend_shown_can_be_built(said, tmp_path):
    shown = [cfg for names in said for cfg in names.get("visualizer", {}).get("vis_backends", [])]
    kinds = {cfg["type"] for cfg in shown}
    assert kinds == {"LocalVisBackend", "TensorboardVisBackend", "MLflowVisBackend", "WandbVisBackend"}
    assert all(isinstance(VISBACKENDS.build({**cfg, "save_dir": str(tmp_path)}), BaseVisBackend) for cfg in shown)


def test_the_first_and_the_last_snippet_make_a_run(said, tmp_path):
    log_processor = said[-1]["log_processor"]
    runner = Runner.from_cfg(config(tmp_path, visualizer=said[0]["visualizer"], log_processor=log_processor))
    runner.message_hub.update_scalar("train/margin", 0.5)
    runner.train()
    assert {mean for _, mean in curves(runner)["margin_mean"]} == {0.5}
    assert list(Path(runner.log_dir, "vis_data").glob("events.out.tfevents.*"))


def test_a_component_tells(said):
    hub = MessageHub.get_instance("tracker docs")
    with hub.activate():
        said[-1]["tell"](0.25)
    assert hub.get_scalar("train/margin").current() == 0.25


def test_histograms_of_weights(said, tmp_path):
    backend = TensorboardVisBackend(str(tmp_path))
    [keep] = [names["keep_weights"] for names in said if "keep_weights" in names]
    keep(backend, torch.nn.Linear(2, 1), 1)
    backend.close()
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert set(read.Tags()["histograms"]) == {"weight", "bias"}
