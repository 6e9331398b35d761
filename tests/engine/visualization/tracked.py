"""A small run with trackers, shared by their tests."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from tests.engine.runner.toy import config
from visuite.engine.config import Config
from visuite.engine.runner import Runner

Curves = dict[str, list[tuple[int, float]]]
PICTURE = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


def build(work_dir: Path, *backends: dict[str, Any], **changes: Any) -> Runner:
    """A run that has these backends, and files to compare them with."""
    visualizer = dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend"), *backends])
    return Runner.from_cfg(Config(config(work_dir, visualizer=visualizer, **changes)))


def train(work_dir: Path, *backends: dict[str, Any], **changes: Any) -> Runner:
    """Train, with a picture kept in between."""
    runner = build(work_dir, *backends, **changes)
    runner.visualizer.add_image("sample", PICTURE, step=3)
    runner.train()
    return runner


def curves(runner: Runner) -> Curves:
    """What the files of a run say of its numbers: {name: [(step, value), ...]}."""
    found: Curves = defaultdict(list)
    for line in Path(runner.log_dir, "vis_data/scalars.json").read_text().splitlines():
        values = json.loads(line)
        step = values.pop("step")
        for name, value in values.items():
            found[name].append((step, value))
    assert {"loss", "lr", "toy/accuracy"} <= found.keys()
    return dict(found)


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
