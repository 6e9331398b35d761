"""A run in MLflow: on a server, or in a database beside the run."""

from __future__ import annotations

import atexit
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import torch

from visuite.engine.logging import print_log
from visuite.engine.registry import VISBACKENDS
from visuite.engine.visualization.backend import BaseVisBackend, force_init_env
from visuite.engine.visualization.canvas import as_rgb
from visuite.engine.visualization.tracking import Plottable, config_text, config_values, flat, needs_extra

if TYPE_CHECKING:
    from types import ModuleType

PARAMS_PER_CALL = 100  # more are refused by MLflow
METRICS_PER_CALL = 1000
CLOCK_SLACK = 2.0  # seconds that a file server's clock may be behind


@VISBACKENDS.register_module()
class MLflowVisBackend(BaseVisBackend):
    """Keep a run in MLflow: scalars, pictures, the config's values as parameters, and its files as artifacts.

    Files are sent when the run closes: those in the config's `work_dir` that were written since the run began.
    MLflow's reports about its use are switched off, unless `MLFLOW_DISABLE_TELEMETRY=false` stands in the environment.

    Args:
        save_dir: The run's folder; holds the database `mlflow.db` and `mlartifacts` where there is no server.
        exp_name: The experiment's name; 'visuite' by default. It is made where it does not exist.
        run_name: The run's name; MLflow thinks of one by default.
        tags: Tags of the run.
        params: Parameters of the run, besides those of the config.
        tracking_uri: A server (`http://host:5000`) or a database (`sqlite:///work_dirs/mlflow.db`); by default
            `MLFLOW_TRACKING_URI` of the environment, or else `mlflow.db` in `save_dir`.
        artifact_suffix: How the names of the files end that become artifacts; add '.pth' for checkpoints.
        tracked_config_keys: The config's top-level keys that become parameters; all by default.
        artifact_location: Where a new experiment keeps its artifacts; by default where the server says, or in
            `mlartifacts` beside the database.
    """

    def __init__(
        self,
        save_dir: str,
        exp_name: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        tracking_uri: str | None = None,
        artifact_suffix: tuple[str, ...] | str = (".json", ".log", ".py", "yaml"),
        tracked_config_keys: Mapping[str, Any] | list[str] | tuple[str, ...] | None = None,
        artifact_location: str | None = None,
    ) -> None:
        super().__init__(save_dir)
        self._exp_name = exp_name or "visuite"
        self._run_name = run_name
        self._tags = {name: str(value) for name, value in (tags or {}).items()}
        self._given_params = dict(params or {})
        self._tracking_uri = tracking_uri
        self._suffixes = (artifact_suffix,) if isinstance(artifact_suffix, str) else tuple(artifact_suffix)
        self._tracked_keys = None if tracked_config_keys is None else set(tracked_config_keys)
        self._artifact_location = artifact_location
        self._work_dir = Path(save_dir)
        self._params: dict[str, str] = {}
        self._plottable = Plottable(type(self).__name__)
        self.run_id: str | None = None
        self._resumed: Mapping[str, Any] = {}
        self._there: dict[str, set[int] | None] = {}

    # ------------------------------------------------------------------ the run

    def _init_env(self) -> None:
        self._mlflow = _import_mlflow(type(self).__name__)
        Path(self._save_dir).mkdir(parents=True, exist_ok=True)
        said = self._tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or self._resumed.get("tracking_uri")
        self._uri = said or _database_in(self._save_dir)
        self._artifacts = _artifacts_beside(self._uri, self._save_dir)
        self._client = self._mlflow.MlflowClient(self._uri)
        if self.run_id is None and self._resumed:
            self._go_on()
        if self.run_id is None:
            self._began = time.time()
            run = self._client.create_run(self._experiment_id(), run_name=self._run_name, tags=self._tags)
            self.run_id = run.info.run_id
            self._log_params(self._given_params)
        else:  # it was closed, and there is more: a test after the training
            self._client.update_run(self.run_id, status="RUNNING")
        atexit.register(self._end_late)

    def state_dict(self) -> dict[str, Any]:
        """Return the run's id, and where it is kept unless that is a secret: checkpoints are handed on."""
        if self.run_id is None:
            return {}
        secret = urlsplit(self._uri).password is not None
        return {"run_id": self.run_id, **({} if secret else {"tracking_uri": self._uri})}

    def resume(self, state: Mapping[str, Any], iteration: int) -> None:
        """Go on in the run of a checkpoint, if it is found where this one would be kept."""
        uri = str(state.get("tracking_uri", ""))
        file = Path(uri.removeprefix("sqlite:///"))
        if state and self.run_id is None and (not uri.startswith("sqlite:///") or file.is_file()):
            self._resumed = dict(state)

    def _go_on(self) -> None:
        """Open the run of a checkpoint again, unless it is gone."""
        run_id = self._resumed["run_id"]
        try:
            run = self._client.get_run(run_id)
        except self._mlflow.MlflowException:
            run = None
        if run is None or run.info.lifecycle_stage != "active":
            print_log(f"MLflow has no run {run_id} any more: a new one begins", "current")
            return
        self.run_id = run_id
        self._began = run.info.start_time / 1000
        self._params = dict(run.data.params)
        self._there = dict.fromkeys(run.data.metrics)
        self._client.update_run(run_id, status="RUNNING")
        print_log(f"{type(self).__name__} goes on in run {run_id}", "current")

    def _is_there(self, name: str, step: int) -> bool:
        """Tell whether the run had this point of a metric before it was gone on with."""
        if name not in self._there:
            return False
        steps = self._there[name]
        if steps is None:
            history = self._client.get_metric_history(self.run_id, name)
            steps = self._there[name] = {point.step for point in history}
        return step in steps

    def _experiment_id(self) -> str:
        """Return the experiment's id; make the experiment where it does not exist."""
        found = self._client.get_experiment_by_name(self._exp_name)
        if found is None:
            location = self._artifact_location or (self._artifacts and self._artifacts.as_uri())
            try:
                return self._client.create_experiment(self._exp_name, artifact_location=location)
            except self._mlflow.MlflowException:
                found = self._client.get_experiment_by_name(self._exp_name)
                if found is None:  # so it was not another run that made it in the meantime
                    raise
        return found.experiment_id

    @property
    @force_init_env
    def experiment(self) -> ModuleType:
        """The module `mlflow`, with this run as its active one, for what this backend does not offer."""
        self._mlflow.set_tracking_uri(self._uri)
        if not self._is_active():
            self._mlflow.start_run(run_id=self.run_id, nested=True)
        return self._mlflow

    def _is_active(self) -> bool:
        active = self._mlflow.active_run()
        return active is not None and active.info.run_id == self.run_id

    def close(self) -> None:
        """Send the files, and end the run; what comes later opens it again."""
        self._end("FINISHED")

    def _end_late(self) -> None:
        """End a run that nobody closed, when the process ends."""
        self._end("FAILED" if hasattr(sys, "last_value") else "FINISHED")

    def _end(self, status: str) -> None:
        if not self._env_initialized:
            return
        self._env_initialized = False
        atexit.unregister(self._end_late)
        for path in self._new_files():
            folder = path.parent.relative_to(self._work_dir).as_posix()
            self._client.log_artifact(self.run_id, str(path), None if folder == "." else folder)
        if self._is_active():
            self._mlflow.end_run(status)
        self._client.set_terminated(self.run_id, status)

    def _new_files(self) -> Iterator[Path]:
        """Yield the run's files that shall be artifacts: a work_dir also has those of earlier runs."""
        for path in sorted(self._work_dir.rglob("*")):
            if not path.name.endswith(self._suffixes) or not path.is_file():
                continue
            sent = self._artifacts is not None and path.resolve().is_relative_to(self._artifacts)
            if not sent and path.stat().st_mtime >= self._began - CLOCK_SLACK:
                yield path

    # ------------------------------------------------------------------ what is kept

    @force_init_env
    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Keep a `Config`, or the text of one, as the artifact `config.py`, and its values as parameters.

        Raises:
            TypeError: it is neither.
        """
        self._client.log_text(self.run_id, config_text(config), "config.py")
        values = config_values(config)
        self._work_dir = Path(values.get("work_dir") or self._save_dir)
        keys = values.keys() if self._tracked_keys is None else values.keys() & self._tracked_keys
        self._log_params(flat({key: value for key, value in values.items() if key in keys}))

    def _log_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters; MLflow never changes one, so a new value of an old one is told of instead."""
        named = {entity_name(name): str(value) for name, value in params.items()}
        for name in named.keys() & self._params.keys():
            if named[name] != self._params[name]:
                message = f"MLflow keeps parameter {name!r} at {self._params[name]!r}, not {named[name]!r}"
                print_log(message, "current", level="WARNING")
        new = {name: value for name, value in named.items() if name not in self._params}
        self._params.update(new)
        entities = [self._mlflow.entities.Param(name, value) for name, value in new.items()]
        for start in range(0, len(entities), PARAMS_PER_CALL):
            self._client.log_batch(self.run_id, params=entities[start : start + PARAMS_PER_CALL])

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Keep an RGB picture (H, W, 3) as the artifact `vis_image/NAME_STEP.png`."""
        self._client.log_image(self.run_id, as_rgb(image), f"vis_image/{name.removesuffix('.png')}_{step}.png")

    @force_init_env
    def add_scalar(
        self, name: str, value: int | float | torch.Tensor | np.ndarray, step: int = 0, **kwargs: Any
    ) -> None:
        """Keep a number."""
        self.add_scalars({name: value}, step)

    @force_init_env
    def add_scalars(
        self, scalar_dict: Mapping[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Keep several numbers of one step; what is no number is left out, and told of once.

        Raises:
            TypeError: `scalar_dict` is no mapping.
        """
        numbers, step = self._plottable.numbers(scalar_dict, step)
        now = int(time.time() * 1000)
        metric = self._mlflow.entities.Metric
        named = {entity_name(name): number for name, number in numbers.items()}
        metrics = [metric(name, number, now, step) for name, number in named.items() if not self._is_there(name, step)]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self._client.log_batch(self.run_id, metrics=metrics[start : start + METRICS_PER_CALL])

    @force_init_env
    def add_graph(self, model: torch.nn.Module, data_batch: Any = (), **kwargs: Any) -> None:
        """Keep the tree of the model's modules as the artifact `model.txt`."""
        self._client.log_text(self.run_id, f"{model}\n", "model.txt")


def entity_name(name: str) -> str:
    """Return a name that MLflow takes, nearest to one that it may not: `AP (50%)` becomes `AP _50__`.

    It takes letters, digits, `_ - . : /` and spaces, up to 250 of them, that make a path which leads nowhere else.
    """
    parts = re.sub(r"[^\w\-. :/]|^\.\.", "_", name).split("/")
    return "/".join(part if part.strip(".") else "_" * max(len(part), 1) for part in parts)[:250]


def _import_mlflow(backend: str) -> ModuleType:
    """Import the package, with its reports about its use switched off before it can begin them."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with needs_extra("mlflow", backend):
        import mlflow
    if hasattr(mlflow, "telemetry"):  # somebody may have imported it before: let it look at the switch again
        mlflow.telemetry.set_telemetry_client()
    return mlflow


def _database_in(folder: str) -> str:
    return f"sqlite:///{Path(folder).resolve().as_posix()}/mlflow.db"


def _artifacts_beside(uri: str, save_dir: str) -> Path | None:
    """Return where artifacts lie if no server and no file store says so; MLflow would take the current folder."""
    if uri.startswith("sqlite:///") and ":memory:" not in uri:
        folder = Path(uri.removeprefix("sqlite:///")).resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "mlartifacts"
    if re.match(r"(sqlite|mysql|postgresql|mssql)\b", uri):
        return Path(save_dir).resolve() / "mlartifacts"
    return None
