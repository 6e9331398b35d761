from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn

from tests.engine.visualization.tracked import PICTURE, curves, train
from visuite.engine import visualization
from visuite.engine.visualization import TensorboardVisBackend


def events(folder: str | Path) -> EventAccumulator:
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    read.Reload()
    return read


def text(read: EventAccumulator, name: str) -> str:
    return read.Tensors(f"{name}/text_summary")[-1].tensor_proto.string_val[0].decode()


def hyperparameters(read: EventAccumulator) -> dict[str, Any]:
    data = HParamsPluginData.FromString(read.summary_metadata["_hparams_/session_start_info"].plugin_data.content)
    values = data.session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


def test_a_run_reads_back(tmp_path):
    runner = train(tmp_path, dict(type="TensorboardVisBackend"))
    read = events(Path(runner.log_dir, "vis_data"))
    for name, points in curves(runner).items():
        assert [event.step for event in read.Scalars(name)] == [step for step, _ in points], name
        assert [event.value for event in read.Scalars(name)] == pytest.approx([value for _, value in points], rel=1e-6)

    picture = read.Images("sample")[0]
    assert picture.step == 3
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture.encoded_image_string))), PICTURE)

    shown = "\n".join(line.removeprefix("    ") for line in text(read, "config").splitlines())
    assert shown.strip() == runner.cfg.pretty_text.strip()
    known = hyperparameters(read)
    assert known["optim_wrapper.optimizer.lr"] == 0.1
    assert known["model.type"] == "ToyNet"
    assert known["train_cfg.by_epoch"] == "True"
    assert known["visualizer.vis_backends.1.type"] == "TensorboardVisBackend"


def test_the_graph_of_a_model_and_a_batch(tmp_path):
    runner = train(tmp_path, dict(type="TensorboardVisBackend"))
    runner.model.train()
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.visualizer.add_graph(runner.model, next(iter(runner.train_dataloader)))
    runner.visualizer.close()
    assert runner.model.training
    assert all(torch.equal(value, before[name]) for name, value in runner.model.state_dict().items())

    graph = events(Path(runner.log_dir, "vis_data")).Graph()
    operations = {node.op for node in graph.node}
    assert {"aten::linear", "aten::batch_norm", "aten::relu"} <= operations
    assert "BatchNorm1d" in text(events(Path(runner.log_dir, "vis_data")), "model")


class Stubborn(nn.Module):
    def forward(self, inputs):
        raise RuntimeError("not today")


def test_a_model_that_cannot_be_traced_is_kept_as_text(tmp_path, capsys):
    backend = TensorboardVisBackend(str(tmp_path))
    backend.add_graph(Stubborn(), torch.zeros(1, 2))
    backend.close()
    assert "Stubborn" in text(events(tmp_path), "model")
    assert "not today" in capsys.readouterr().out


def test_numbers_of_all_kinds_and_what_is_none(tmp_path, capsys):
    backend = TensorboardVisBackend(str(tmp_path))
    backend.add_scalar("lr", np.float64(0.5), step=1)
    for step in (2, 4):
        backend.add_scalars({"loss": torch.tensor([0.25]), "per_class": np.ones(3), "name": "x"}, step=step)
    backend.add_scalars({"loss": 1, "step": 9}, step=0)
    backend.close()
    backend.add_scalar("lr", 0.75, step=10)  # closing is not the end
    backend.close()
    read = events(tmp_path)
    assert [(event.step, event.value) for event in read.Scalars("loss")] == [(2, 0.25), (4, 0.25), (9, 1.0)]
    assert [(event.step, event.value) for event in read.Scalars("lr")] == [(1, 0.5), (10, 0.75)]
    assert read.Tags()["scalars"] == ["lr", "loss"]
    said = capsys.readouterr().out
    assert said.count("'per_class', a list") == said.count("'name', a str") == 1
    with pytest.raises(TypeError, match="a dict of numbers, not list"):
        backend.add_scalars([1.0])
    with pytest.raises(TypeError, match="a Config or its text, not int"):
        backend.add_config(3)


def test_the_writer_itself_is_at_hand(tmp_path):
    backend = TensorboardVisBackend(str(tmp_path))
    backend.experiment.add_histogram("weights", torch.arange(10.0), 1)
    backend.close()
    assert events(tmp_path).Tags()["histograms"] == ["weights"]


@pytest.mark.parametrize(
    ("package", "backend"),
    [("tensorboard", "TensorboardVisBackend"), ("mlflow", "MLflowVisBackend"), ("wandb", "WandbVisBackend")],
)
def test_a_missing_package_names_its_extra(tmp_path, monkeypatch, package, backend):
    for name in [name for name in sys.modules if name.split(".")[0] == package or name == "torch.utils.tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(package), *sys.meta_path])
    one = getattr(visualization, backend)(str(tmp_path))
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match=rf'{backend} needs .*pip install "visuite-engine\[{package}\]"'):
            one.add_scalar("loss", 1.0)


class Absent:
    """Finds one package missing."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_trackers_are_imported_when_they_are_used_alone():
    code = (
        "import sys, visuite.engine.visualization\n"
        "print([name for name in ('tensorboard', 'mlflow', 'wandb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
