"""A run that broke off and is resumed goes on in the same run of each tracker, every point of which is there once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.engine.visualization.test_trackers_mlflow import server  # noqa: F401 (a fixture)
from tests.engine.visualization.test_trackers_wandb import kinds, records, rows
from tests.engine.visualization.tracked import Curves, build, curves, train
from visuite.engine.analysis import read_curves
from visuite.engine.hooks import Hook
from visuite.engine.runner import Runner
from visuite.engine.visualization import MLflowVisBackend

#: After these iterations the newest checkpoint is that of the first epoch, whose validation came after it.
BREAKS_AT = 9


class Broken(Exception):
    """What a run breaks off with."""


class BreakAt(Hook):
    """Ends a run as a fault would, with points behind its last checkpoint."""

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.iter + 1 == BREAKS_AT:
            raise Broken


@pytest.fixture
def whole(tmp_path: Path) -> Curves:
    """What a run that never stopped says."""
    return {name: points for name, points in curves(train(tmp_path / "whole")).items() if name not in TIMES}


TIMES = ("time", "data_time", "memory")


def broken(work_dir: Path, backend: dict[str, Any]) -> Runner:
    runner = build(work_dir, backend, custom_hooks=[BreakAt()], log_level="INFO")
    with pytest.raises(Broken):
        runner.train()
    while time.strftime("%Y%m%d_%H%M%S") <= runner.timestamp:  # its folder is called after the second in which it began
        time.sleep(0.02)
    return runner


def resumed(work_dir: Path, backend: dict[str, Any], **changes: Any) -> Runner:
    runner = build(work_dir, backend, resume=True, log_level="INFO", **changes)
    runner.train()
    return runner


def assert_same(found: Curves, whole: Curves) -> None:
    for name, points in whole.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points], name
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in points], rel=1e-6), name


def events(folder: str | Path) -> Curves:
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    return {
        name: [(one.step, one.value) for one in sorted(read.Scalars(name), key=lambda one: one.step)]
        for name in read.Tags()["scalars"]
    }


@pytest.mark.parametrize("closed", [False, True])
def test_tensorboard(tmp_path: Path, whole: Curves, closed: bool) -> None:
    backend = dict(type="TensorboardVisBackend")
    first = broken(tmp_path / "work", backend)
    if closed:
        first.visualizer.close()
    else:
        writer = first.visualizer.get_backend("TensorboardVisBackend").experiment
        writer.flush()
        with next(Path(first.log_dir, "vis_data").glob("events.*")).open("ab") as file:
            file.write(b"\x10torn")  # it was killed while it wrote
    second = resumed(tmp_path / "work", backend)
    assert second.log_dir != first.log_dir
    assert not list(Path(second.log_dir, "vis_data").glob("events.*"))
    assert_same(events(Path(first.log_dir, "vis_data")), whole)
    third = resumed(tmp_path / "work", backend, train_cfg=dict(by_epoch=True, max_epochs=4))  # and longer than planned
    found = events(Path(first.log_dir, "vis_data"))
    assert [step for step, _ in found["loss"]] == [step for step, _ in whole["loss"]] + [17, 19]
    assert [step for step, _ in found["toy/accuracy"]] == [1, 2, 3, 4]
    assert third.iter == 20


def history(client: mlflow.MlflowClient, run_id: str, names: Any) -> Curves:
    return {name: sorted((one.step, one.value) for one in client.get_metric_history(run_id, name)) for name in names}


@pytest.mark.parametrize("where", ["its own database", "a database", pytest.param("server", marks=pytest.mark.slow)])
def test_mlflow(
    tmp_path: Path, whole: Curves, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, where: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = {"its own database": {}, "a database": {"tracking_uri": f"sqlite:///{tmp_path}/all.db"}}.get(where)
    uri = {"tracking_uri": request.getfixturevalue("server")} if uri is None else uri
    backend = dict(type="MLflowVisBackend", exp_name="toys", **uri)
    first = broken(tmp_path / "work", backend)
    run_id = first.visualizer.get_backend("MLflowVisBackend").run_id
    second = resumed(tmp_path / "work", backend)
    again = second.visualizer.get_backend("MLflowVisBackend")
    assert again.run_id == run_id
    client = mlflow.MlflowClient(uri.get("tracking_uri", f"sqlite:///{first.log_dir}/vis_data/mlflow.db"))
    [run] = client.search_runs([client.get_experiment_by_name("toys").experiment_id])
    assert run.info.status == "FINISHED"
    assert_same(history(client, run_id, whole), whole)
    logs = {f"{one.timestamp}/{one.timestamp}.log" for one in (first, second)}
    assert logs <= {f"{one.timestamp}/{Path(found.path).name}" for one in (first, second)
                    for found in client.list_artifacts(run_id, one.timestamp)}  # fmt: skip


def test_mlflow_whose_run_is_gone_begins_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backend = dict(type="MLflowVisBackend", tracking_uri=f"sqlite:///{tmp_path}/all.db")
    first = broken(tmp_path / "work", backend).visualizer.get_backend("MLflowVisBackend")
    first.close()
    mlflow.MlflowClient(backend["tracking_uri"]).delete_run(first.run_id)
    second = resumed(tmp_path / "work", backend).visualizer.get_backend("MLflowVisBackend")
    assert second.run_id != first.run_id
    assert f"no run {first.run_id}" in capsys.readouterr().out


def test_wandb_offline(tmp_path: Path, whole: Curves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    backend = dict(type="WandbVisBackend", init_kwargs=dict(project="toys", mode="offline"))
    first = broken(tmp_path / "work", backend)
    first.visualizer.close()
    second = resumed(tmp_path / "work", backend)
    sessions = []
    for runner in (first, second):
        [path] = Path(runner.log_dir, "vis_data").glob("wandb/offline-run-*/run-*.wandb")
        ended(path)
        sessions.append(list(records(path.read_bytes())))
    assert {one.run.run_id for session in sessions for one in session if one.run.run_id} == {wandb_id(first)}
    table = {row["_step"]: row for session in sessions for row in rows(session)}  # a row of one number replaces another
    assert sorted(table) == list(range(len(table)))
    found: Curves = {name: [] for name in whole}
    for _, row in sorted(table.items()):
        for name in found.keys() & row.keys():
            found[name].append((row["step"], row[name]))
    assert_same(found, whole)


def wandb_id(runner: Runner) -> str:
    return str(runner.visualizer.get_backend("WandbVisBackend")._init_kwargs["id"])


def ended(path: Path) -> None:
    ends = time.monotonic() + 60
    while "exit" not in kinds(list(records(path.read_bytes()))):
        assert time.monotonic() < ends, f"{path} never ends"
        time.sleep(0.02)


class Served:
    """Stands for a run of a server, which knows how many rows it has."""

    id = "abc"

    def __init__(self, starting_step: int) -> None:
        self.starting_step = self.step = starting_step
        self.rows: list[Any] = []

    def log(self, row: Any, step: int | None = None, commit: bool = True) -> None:
        assert step is None
        self.rows.append(row["loss"])
        self.step += 1

    def define_metric(self, *args: Any, **kwargs: Any) -> None:
        pass


def test_wandb_passes_over_rows_that_the_server_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from visuite.engine.visualization import WandbVisBackend

    served = Served(starting_step=5)
    monkeypatch.setattr(wandb, "init", lambda **kwargs: served)
    backend = WandbVisBackend(str(tmp_path), init_kwargs=dict(mode="online"))
    backend.resume({"id": "abc", "rows": 3}, 30)
    for loss in range(3, 8):
        backend.add_scalar("loss", loss, step=loss)
    assert served.rows == [5, 6, 7]


@pytest.mark.parametrize("changed", ["work_dir", "batch_size"])
def test_a_run_that_counts_otherwise_has_tracker_runs_of_its_own(tmp_path: Path, capsys, changed: str) -> None:
    backend = dict(type="TensorboardVisBackend")
    first = broken(tmp_path / "work", backend)
    first.visualizer.close()
    before = events(Path(first.log_dir, "vis_data"))
    if changed == "batch_size":
        loader = {**first.cfg.train_dataloader, "batch_size": 5}
        second = resumed(tmp_path / "work", backend, train_dataloader=loader)
    else:
        checkpoint = str(tmp_path / "work/epoch_1.pth")
        second = build(tmp_path / "other", backend, resume=checkpoint, log_level="INFO")
        second.train()
    assert "trackers begin runs of their own" in capsys.readouterr().out
    assert events(Path(first.log_dir, "vis_data")) == before
    assert "loss" in events(Path(second.log_dir, "vis_data"))


def test_curves_of_files_join(tmp_path: Path, whole: Curves) -> None:
    broken(tmp_path / "work", dict(type="TensorboardVisBackend"))
    resumed(tmp_path / "work", dict(type="TensorboardVisBackend"))
    joined = read_curves(tmp_path / "work")
    for name, points in whole.items():
        if name not in ("epoch", "iter"):
            curve = joined[name]
            assert list(zip(curve.steps, curve.values, strict=True)) == [(s, pytest.approx(v)) for s, v in points], name


def test_a_checkpoint_does_not_hold_the_password_of_a_server(tmp_path: Path) -> None:
    uri = "https://me:secret@tracking.example/"
    backend = MLflowVisBackend(str(tmp_path), tracking_uri=uri)
    backend.run_id, backend._uri = "1234", uri
    assert backend.state_dict() == {"run_id": "1234"}
    backend._uri = uri.replace("me:secret@", "")
    assert backend.state_dict() == {"run_id": "1234", "tracking_uri": backend._uri}
