from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visuite.engine.visualization import BaseVisBackend, LocalVisBackend, force_init_env


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_scalars_are_lines_of_json(tmp_path: Path) -> None:
    backend = LocalVisBackend(str(tmp_path / "run"))
    backend.add_scalar("lr", 0.1, step=1)
    backend.add_scalars({"loss": torch.tensor(0.5), "acc": np.float32(0.25), "per_class": np.ones(2)}, step=2)
    backend.add_scalars({"top1": 71, "step": 9}, step=3, file_path="metrics.json")
    backend.close()
    backend.add_scalar("lr", 0.2, step=4)  # closing is not the end
    backend.close()
    assert lines(tmp_path / "run" / "scalars.json") == [
        {"lr": 0.1, "step": 1},
        {"loss": 0.5, "acc": 0.25, "per_class": [1.0, 1.0], "step": 2},
        {"top1": 71, "step": 9},
        {"lr": 0.2, "step": 4},
    ]
    assert lines(tmp_path / "run" / "metrics.json") == [{"top1": 71, "step": 9}]


def test_a_resumed_run_appends_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "scalars.json"
    path.write_text('{"loss": 1.0, "step": 1}\n{"loss": 0.')
    backend = LocalVisBackend(str(tmp_path))
    backend.add_scalars({"loss": 0.5}, step=2)
    kept = path.read_text().splitlines()
    assert len(kept) == 3
    assert json.loads(kept[0])["step"] == 1
    assert json.loads(kept[2]) == {"loss": 0.5, "step": 2}


def test_a_killed_run_keeps_its_lines(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from visuite.engine.visualization import LocalVisBackend\n"
        "backend = LocalVisBackend(sys.argv[1])\n"
        "for step in range(3): backend.add_scalars({'loss': 1.0}, step=step)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    assert [line["step"] for line in lines(tmp_path / "scalars.json")] == [0, 1, 2]


def test_pictures(tmp_path: Path) -> None:
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    backend = LocalVisBackend(str(tmp_path), img_save_dir="pictures")
    backend.add_image("val/cat", image, step=7)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "pictures" / "val" / "cat_7.png")), image)
    with pytest.raises(ValueError, match="stays in its folder"):
        backend.add_image("../cat", image)


def test_config_and_model(tmp_path: Path) -> None:
    class Dumped:
        def dump(self, path: str) -> None:
            Path(path).write_text("a = 1\n")

    backend = LocalVisBackend(str(tmp_path), config_save_file="cfg.yaml")
    backend.add_config(Dumped())
    assert (tmp_path / "cfg.yaml").read_text() == "a = 1\n"
    backend.add_config("b = 2\n")
    assert (tmp_path / "cfg.yaml").read_text() == "b = 2\n"
    backend.add_graph(torch.nn.Linear(2, 3))
    assert "Linear(in_features=2" in (tmp_path / "model.txt").read_text()
    with pytest.raises(TypeError, match="takes a Config"):
        backend.add_config(3)


def test_bad_options(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"written to a \.json file"):
        LocalVisBackend(str(tmp_path), scalar_save_file="scalars.txt")
    with pytest.raises(ValueError, match="config_save_file"):
        LocalVisBackend(str(tmp_path), config_save_file="config.txt")
    backend = LocalVisBackend(str(tmp_path))
    with pytest.raises(ValueError, match="all scalars go to"):
        backend.add_scalars({}, file_path="scalars.json")
    with pytest.raises(TypeError, match="takes a dict"):
        backend.add_scalars([1])


def test_a_backend_opens_itself_once_on_first_use() -> None:
    class Own(BaseVisBackend):
        opened = 0
        broken = True

        def _init_env(self) -> None:
            if self.broken:
                raise ConnectionError("no server")
            self.opened += 1

        @property
        @force_init_env
        def experiment(self) -> str:
            return "open"

        @force_init_env
        def add_scalar(self, name: str, value: object, step: int = 0, **kwargs: object) -> None:
            assert self.experiment == "open"

    backend = Own("")
    with pytest.raises(ConnectionError):
        backend.add_scalar("a", 1)
    backend.broken = False
    backend.add_scalar("a", 1)
    backend.add_scalar("a", 2)
    assert backend.opened == 1
    backend.add_config("ignored")  # what a backend does not know passes it by
    backend.close()
