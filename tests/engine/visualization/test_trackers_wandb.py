from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import wandb
from PIL import Image
from wandb.proto import wandb_internal_pb2 as protocol

from tests.engine.visualization.tracked import PICTURE, build, curves, files, train
from visuite.engine.config import Config
from visuite.engine.visualization import WandbVisBackend
from visuite.engine.visualization.wandb import _metric_definitions

BLOCK = 32768
OFFLINE = dict(type="WandbVisBackend", init_kwargs=dict(project="toys", mode="offline"))


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """An empty current folder and home, without an account."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    return folder


def records(data: bytes):
    """Yield the records of a run's file: a log in LevelDB's format, pieces of which never cross a block."""
    assert data[:4] == b":W&B"
    at, record = 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:  # no room for a head
            at += BLOCK - at % BLOCK
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        if at + 7 + size > len(data):  # still being written
            return
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield protocol.Record.FromString(record)
            record = b""


def stored(folder):
    """The records of all sessions of the runs in a folder; wandb's writer may still be at work when a run is closed."""
    found = []
    for path in sorted(Path(folder, "wandb").glob("offline-run-*/run-*.wandb")):
        ends = time.monotonic() + 60
        while "exit" not in kinds(session := list(records(path.read_bytes()))):
            assert time.monotonic() < ends, f"{path} never ends: {kinds(session)}"
            time.sleep(0.02)
        found += session
    return found


def kinds(found):
    return [record.WhichOneof("record_type") for record in found]


def rows(found):
    """What was logged, a dict a row."""
    return [row(record.history) for record in found if record.WhichOneof("record_type") == "history"]


def row(history):
    values = {}
    for item in history.item:
        *folders, name = item.nested_key or [item.key]
        inside = values
        for folder in folders:
            inside = inside.setdefault(folder, {})
        inside[name] = json.loads(item.value_json)
    return values


def config_of(found):
    """The config as the last update left it."""
    values = {}
    for record in found:
        updates = {"run": record.run.config.update, "config": record.config.update}
        for item in updates.get(record.WhichOneof("record_type"), ()):
            values[item.key or item.nested_key[0]] = json.loads(item.value_json)
    return values


def test_a_run_reads_back(tmp_path, nowhere):
    runner = train(tmp_path / "work", OFFLINE)
    data = Path(runner.log_dir, "vis_data")
    found = stored(data)
    logged = rows(found)
    for name, points in curves(runner).items():
        assert [(row["step"], row[name]) for row in logged if name in row] == points, name
    assert [row["_step"] for row in logged] == list(range(len(logged)))  # so that nothing is dropped as too late

    [picture] = [row for row in logged if "sample" in row]
    assert picture["step"] == 3
    [folder] = data.glob("wandb/offline-run-*/files")
    assert np.array_equal(np.asarray(Image.open(folder / picture["sample"]["path"])), PICTURE)
    assert (folder / "config.py").read_text() == runner.cfg.pretty_text
    known = config_of(found)
    assert known["model"] == {"type": "ToyNet"}
    assert known["optim_wrapper"]["optimizer"]["lr"] == 0.1
    assert next(record.run.project for record in found if record.run.project) == "toys"
    assert files(nowhere) == []


def test_interleaved_runs_keep_apart(tmp_path, nowhere):
    one, other = (build(tmp_path / name, OFFLINE, experiment_name=name) for name in ("one", "other"))
    one.visualizer.add_scalar("mine", 1, step=1)
    other.visualizer.add_scalar("mine", 2, step=1)
    one.visualizer.add_scalar("mine", 3, step=2)
    one.visualizer.close()
    other.visualizer.add_scalar("mine", 4, step=2)
    other.visualizer.close()
    one.visualizer.add_scalar("mine", 5, step=3)  # closing is not the end
    one.visualizer.close()
    found = [stored(Path(runner.log_dir, "vis_data")) for runner in (one, other)]
    assert [[row["mine"] for row in rows(records)] for records in found] == [[1, 3, 5], [2, 4]]
    assert [len({record.run.run_id for record in records if record.run.run_id}) for records in found] == [1, 1]
    assert files(nowhere) == []


def test_options(tmp_path, nowhere):
    nowhere.joinpath("train.py").write_text("print('code')")
    backend = WandbVisBackend(
        str(tmp_path / "run"),
        init_kwargs=dict(mode="offline", name="named", tags=["a"]),
        define_metric_cfg={"coco/bbox_mAP": "max"},
        commit=False,
        log_code_name="toy-code",
        watch_kwargs=dict(log="all", log_freq=1),
    )
    model = torch.nn.Linear(3, 1)
    backend.add_graph(model)
    backend.add_config("lr = 0.1\n")
    backend.add_config(Config(dict(lr=0.2)))
    backend.add_scalar("loss", torch.tensor(0.5), step=4)
    backend.add_scalars({"coco/bbox_mAP": 0.25, "per_class": [1, 2]}, step=4)
    model(torch.ones(3)).sum().backward()
    table = backend.experiment.Table(columns=["step"], data=[[1]])
    backend.experiment.log({"table": table})
    backend.close()

    found = stored(tmp_path / "run")
    logged = [row for row in rows(found) if "loss" in row]
    assert len(logged) == 1  # one row of all calls up to the one that ended it
    assert {"loss": 0.5, "coco/bbox_mAP": 0.25, "step": 4}.items() <= logged[0].items()
    assert {"table", "gradients/weight", "parameters/weight"} <= logged[0].keys()
    assert "per_class" not in logged[0]
    metrics = {one.name or one.glob_name: one for one in (record.metric for record in found) if one.ByteSize()}
    assert metrics["*"].step_metric == "step"
    assert metrics["coco/bbox_mAP"].summary.max
    assert config_of(found)["lr"] == 0.2
    assert {(run.display_name, *run.tags) for run in (r.run for r in found) if run.run_id} == {("named", "a")}
    [code] = [record.artifact for record in found if record.artifact.type == "code"]
    assert code.name == "toy-code"
    assert "train.py" in [entry.path for entry in code.manifest.contents]
    assert files(nowhere) == ["train.py"]


def test_metric_definitions():
    given = [dict(name="loss", step_metric="epoch")]
    assert _metric_definitions(given) == given
    with pytest.raises(TypeError, match="a dict of summaries or a list of dicts, not 'max'"):
        _metric_definitions("max")
    with pytest.raises(TypeError, match="a list of dicts"):
        WandbVisBackend("anywhere", define_metric_cfg=["loss"])


@pytest.mark.parametrize("key", [None, "0" * 40])
def test_without_an_account_or_a_network_a_run_is_offline(tmp_path, monkeypatch, key):
    said = []
    monkeypatch.setattr("visuite.engine.visualization.wandb.print_log", lambda line, *_: said.append(line))
    settings = wandb.setup().settings
    monkeypatch.setattr(settings, "api_key", key)
    monkeypatch.setattr(settings, "base_url", "http://127.0.0.1:9")  # nobody listens there
    backend = WandbVisBackend(str(tmp_path))
    backend.add_scalar("loss", 1.0)
    assert backend.experiment.run.offline
    backend.close()
    assert [row["loss"] for row in rows(stored(tmp_path))] == [1.0]
    reason = "no account is known on this machine" if key is None else "http://127.0.0.1:9 does not answer"
    assert [reason in line for line in said] == [True]


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_a_mode_that_is_said_counts(tmp_path, monkeypatch, by):
    if by == "environment":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    backend = WandbVisBackend(str(tmp_path), init_kwargs={} if by == "environment" else dict(mode="disabled"))
    backend.add_scalar("loss", 1.0)
    assert backend.experiment.run.disabled
    backend.close()
    assert stored(tmp_path) == []


def test_its_errors_are_not_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    backend = WandbVisBackend(str(tmp_path), init_kwargs=dict(mode="offline"))
    backend.add_scalar("loss", 1.0)
    backend.close()
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
