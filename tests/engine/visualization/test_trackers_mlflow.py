from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name
from PIL import Image

from tests.engine.visualization.tracked import PICTURE, build, curves, files, train
from visuite.engine.config import Config
from visuite.engine.visualization import MLflowVisBackend
from visuite.engine.visualization.mlflow import _artifacts_beside, entity_name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run without a server, in a work_dir that has seen others; as MLflow takes seconds to begin, there is one."""
    top = tmp_path_factory.mktemp("mlflow")
    for folder in ("nowhere", "work/earlier"):
        top.joinpath(folder).mkdir(parents=True)
    for old in ("earlier/run.log", "epoch_0.pth"):
        top.joinpath("work", old).write_text("of another run")
        os.utime(top / "work" / old, (0, 0))
    cfg = dict(
        type="MLflowVisBackend", exp_name="toys", run_name="first", tags={"team": "vision"}, params={"note": 7},
        artifact_suffix=(".json", ".log", ".py", ".pth"), tracked_config_keys=["model", "optim_wrapper", "train_cfg"],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(top / "nowhere")
        patch.setenv("HOME", str(top / "nowhere"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        runner = train(top / "work", cfg, log_level="INFO")
        assert files(top / "nowhere") == []
    return runner


@pytest.fixture
def database(trained):
    """The address of the database that the run made."""
    return f"sqlite:///{trained.log_dir}/vis_data/mlflow.db"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty current folder, and an empty home."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


def assert_curves(client, run_id, runner):
    for name, points in curves(runner).items():
        history = client.get_metric_history(run_id, name)
        assert sorted((metric.step, metric.value) for metric in history) == sorted(points), name


def artifacts(client, run_id, path=None):
    found = []
    for one in client.list_artifacts(run_id, path):
        found += artifacts(client, run_id, one.path) if one.is_dir else [one.path]
    return sorted(found)


def test_a_run_without_a_server_reads_back(tmp_path, trained, database):
    client = mlflow.MlflowClient(database)
    [run] = client.search_runs([client.get_experiment_by_name("toys").experiment_id])
    assert run.info.run_name == "first"
    assert run.info.status == "FINISHED"
    assert run.data.tags["team"] == "vision"
    assert run.data.params["note"] == "7"
    assert run.data.params["optim_wrapper.optimizer.lr"] == "0.1"
    assert {name.split(".")[0] for name in run.data.params} == {"note", "model", "optim_wrapper", "train_cfg"}
    assert_curves(client, run.info.run_id, trained)

    log = f"{trained.timestamp}/{trained.timestamp}.log"
    kept = artifacts(client, run.info.run_id)
    scalars = f"{trained.timestamp}/vis_data/scalars.json"
    assert {"config.py", "vis_image/sample_3.png", "epoch_3.pth", log, scalars} <= set(kept)
    assert not {"earlier/run.log", "epoch_0.pth"} & set(kept)
    assert not [path for path in kept if "mlartifacts" in path]

    def fetch(path):
        return Path(client.download_artifacts(run.info.run_id, path, str(tmp_path)))

    assert np.array_equal(np.asarray(Image.open(fetch("vis_image/sample_3.png"))), PICTURE)
    assert fetch("config.py").read_text() == trained.cfg.pretty_text
    assert fetch(log).read_bytes() == Path(trained.work_dir, log).read_bytes()
    assert torch.load(fetch("epoch_3.pth"), weights_only=True)["state_dict"].keys() == trained.model.state_dict().keys()
    assert mlflow.active_run() is None


def test_runs_that_interleave_share_a_database_alone(tmp_path, nowhere, database):
    one, other = (
        build(tmp_path / name, dict(type="MLflowVisBackend", tracking_uri=database), experiment_name=name)
        for name in ("one", "other")
    )
    one.visualizer.add_scalar("mine", 1, step=1)
    other.visualizer.add_scalar("mine", 2, step=1)
    one.train()
    other.visualizer.add_scalar("mine", 3, step=2)
    client = mlflow.MlflowClient(database)
    ids = [runner.visualizer.get_backend("MLflowVisBackend").run_id for runner in (one, other)]
    assert [client.get_run(run_id).info.status for run_id in ids] == ["FINISHED", "RUNNING"]
    assert [metric.value for metric in client.get_metric_history(ids[0], "mine")] == [1]
    assert [metric.value for metric in client.get_metric_history(ids[1], "mine")] == [2, 3]
    assert_curves(client, ids[0], one)
    other.visualizer.close()
    one.visualizer.add_scalar("mine", 4, step=5)  # a test after the training, say
    assert client.get_run(ids[0]).info.status == "RUNNING"
    one.visualizer.close()
    assert client.get_run(ids[0]).info.status == "FINISHED"
    beside = Path(database.removeprefix("sqlite:///")).with_name("mlartifacts")
    assert client.get_experiment_by_name("visuite").artifact_location == beside.as_uri()
    assert files(nowhere) == []


def test_names_and_values_that_mlflow_would_refuse(tmp_path, nowhere, database, capsys):
    backend = MLflowVisBackend(str(tmp_path), tracking_uri=database)
    config = Config(dict(custom_keys={"backbone.layer(1)": 0.1}, long="x" * 9000, **{f"k{i}": i for i in range(250)}))
    backend.add_config(config)
    backend.add_config(config)
    backend.add_config(Config(dict(k7="changed")))
    backend.add_scalars({"AP (50%)": 0.5, "/../x": 1, "nan": math.nan, "per_class": [1, 2]}, step=2)
    backend.add_scalars({f"m{i}": i for i in range(1500)}, step=2)
    client, run_id = mlflow.MlflowClient(database), backend.run_id
    backend.close()
    data = client.get_run(run_id).data
    assert data.params["custom_keys.backbone.layer_1_"] == "0.1"
    assert set(data.params["long"][:400]) == {"x"}
    assert [data.params[f"k{i}"] for i in range(250)] == [str(i) for i in range(250)]
    assert data.metrics["AP _50__"] == 0.5
    assert data.metrics["m1499"] == 1499
    assert math.isnan(data.metrics["nan"])
    said = capsys.readouterr().out
    assert "keeps parameter 'k7' at '7', not 'changed'" in said
    assert "'per_class', a list" in said
    backend.close()


def test_where_artifacts_lie(tmp_path):
    assert _artifacts_beside(f"sqlite:///{tmp_path}/shared/mlflow.db", "run") == tmp_path / "shared/mlartifacts"
    assert tmp_path.joinpath("shared").is_dir()  # SQLite makes no folders
    assert _artifacts_beside("postgresql://host/runs", str(tmp_path)) == tmp_path / "mlartifacts"
    assert _artifacts_beside("http://host:5000", str(tmp_path)) is None


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1) | st.text(alphabet="a./%", min_size=1, max_size=8))
def test_every_name_becomes_one_that_mlflow_takes(name):
    _validate_metric_name(entity_name(name))
    assert entity_name(entity_name(name)) == entity_name(name)


@pytest.mark.parametrize("name", ["loss", "coco/bbox_mAP_50", "a-b.c d", "Größe"])
def test_a_good_name_stays(name):
    assert entity_name(name) == name


def test_the_module_itself_is_at_hand(tmp_path, nowhere, database):
    backend = MLflowVisBackend(str(tmp_path), tracking_uri=database)
    before = mlflow.get_tracking_uri()
    try:
        backend.experiment.log_metric("mine", 3)
        backend.experiment.log_text("hello", "note.txt")
        backend.add_graph(torch.nn.Linear(2, 3))
        assert backend.experiment.active_run().info.run_id == backend.run_id
    finally:
        backend.close()
        mlflow.set_tracking_uri(before)
    client = mlflow.MlflowClient(database)
    assert client.get_run(backend.run_id).data.metrics == {"mine": 3}
    assert artifacts(client, backend.run_id) == ["model.txt", "note.txt"]
    tree = Path(client.download_artifacts(backend.run_id, "model.txt", str(tmp_path))).read_text()
    assert "Linear(in_features=2, out_features=3" in tree
    assert mlflow.active_run() is None


def test_nothing_is_reported_about_its_use(tmp_path, database, monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    backend = MLflowVisBackend(str(tmp_path), tracking_uri=database)
    backend.add_scalar("loss", 1.0)
    backend.close()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert mlflow.telemetry.get_telemetry_client() is None


@pytest.mark.slow
def test_a_failing_process_leaves_a_failed_run(tmp_path, database):
    code = (
        "import sys\n"
        "from visuite.engine.visualization import MLflowVisBackend\n"
        "backend = MLflowVisBackend(sys.argv[1], tracking_uri=sys.argv[2], run_name='doomed')\n"
        "backend.add_scalar('loss', 1.0)\n"
        "open(sys.argv[1] + '/run.log', 'w').write('it went wrong')\n"
        "raise SystemError('wrong')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), database], capture_output=True, check=False)
    assert done.returncode == 1
    client = mlflow.MlflowClient(database)
    [run] = client.search_runs([client.get_experiment_by_name("visuite").experiment_id], "run_name = 'doomed'")
    assert run.info.status == "FAILED"
    assert artifacts(client, run.info.run_id) == ["run.log"]


@pytest.fixture
def server(tmp_path):
    """The address of a server on loopback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", f"{tmp_path}/kept"]
    log = tmp_path.joinpath("server.log").open("w")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(
        command + stores, cwd=tmp_path, stdout=log, stderr=log, env=environment, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/health", process, Path(log.name))
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
        log.close()


def wait_for(url, process, log, seconds=120):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"no server at {url}:\n{log.read_text()}")


@pytest.mark.slow
def test_a_run_on_a_server_reads_back(tmp_path, nowhere, server):
    backend = dict(type="MLflowVisBackend", tracking_uri=server, exp_name="toys", run_name="served", params={"note": 7})
    runner = train(tmp_path / "work", backend, log_level="INFO")
    client = mlflow.MlflowClient(server)
    [run] = client.search_runs([client.get_experiment_by_name("toys").experiment_id])
    assert (run.info.run_name, run.info.status) == ("served", "FINISHED")
    assert run.data.params["note"] == "7"
    assert run.data.params["model.type"] == "ToyNet"
    assert_curves(client, run.info.run_id, runner)
    kept = artifacts(client, run.info.run_id)
    assert {"config.py", "vis_image/sample_3.png", f"{runner.timestamp}/{runner.timestamp}.log"} <= set(kept)
    picture = client.download_artifacts(run.info.run_id, "vis_image/sample_3.png", str(tmp_path))
    assert np.array_equal(np.asarray(Image.open(picture)), PICTURE)
    assert files(nowhere) == []
    assert not [path for path in files(tmp_path / "work") if "mlflow.db" in path or "mlartifacts" in path]
