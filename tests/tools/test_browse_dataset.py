"""Pictures of what a model will see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cls.datasets.test_cifar import write_official
from visuite.cv.image import imread

TOOL = Path(__file__).parents[2] / "tools" / "browse_dataset.py"


@pytest.mark.slow
def test_colours_are_those_of_the_data(tmp_path):
    write_official(tmp_path / "data", np.full((10, 32, 32, 3), (200, 30, 10), np.uint8), [0] * 10)
    dataset = "dict(type='CIFAR10', data_root='data', split='train', pipeline=[dict(type='PackInputs')])"
    lines = ["default_scope = 'cls'", "visualizer = dict(type='UniversalVisualizer')"]
    lines.append(f"train_dataloader = dict(dataset={dataset})")
    (tmp_path / "config.py").write_text("\n".join(lines))
    command = [sys.executable, str(TOOL), "config.py", "--output-dir", "out", "--number", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "out").iterdir())
    assert [one.name for one in files] == ["train_0.png", "train_9.png"]
    assert imread(files[0], channel_order="rgb")[-1, -1].tolist() == [200, 30, 10]
