"""A run in Weights & Biases, on the network or in files that `wandb sync` sends later."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from visuite.engine.logging import print_log
from visuite.engine.registry import VISBACKENDS
from visuite.engine.visualization.backend import BaseVisBackend, force_init_env
from visuite.engine.visualization.canvas import as_rgb
from visuite.engine.visualization.tracking import Plottable, config_text, config_values, needs_extra

if TYPE_CHECKING:
    from types import ModuleType

STEP = "step"
SECONDS_TO_ANSWER = 5


@VISBACKENDS.register_module()
class WandbVisBackend(BaseVisBackend):
    """Keep a run in Weights & Biases: scalars, pictures, the config, gradients.

    Without an account on this machine, or a network, a run is offline: its files lie in `save_dir`, and
    `wandb sync` sends them when asked to. The library's reports about its own errors are switched off, unless
    `WANDB_ERROR_REPORTING=true` stands in the environment.

    Each curve is drawn over the `step` it was logged with, an iteration or an epoch; wandb's own count of calls, which
    may not go back, is left to itself.

    Args:
        save_dir: The run's folder; wandb makes `wandb` in it.
        init_kwargs: Arguments of `wandb.init`: `project`, `name`, `tags`, `mode='offline'` and others.
        define_metric_cfg: `{'coco/bbox_mAP': 'max'}` shows a metric's best; a list of dicts are arguments of
            `define_metric`, one metric each.
        commit: End a row with each call; otherwise calls fill one row until something else ends it.
        log_code_name: Keep the Python files of the current folder as a code artifact of this name; by default none.
        watch_kwargs: Arguments of `watch`, which `add_graph` calls.
    """

    def __init__(
        self,
        save_dir: str,
        init_kwargs: Mapping[str, Any] | None = None,
        define_metric_cfg: Mapping[str, str] | Sequence[Mapping[str, Any]] | None = None,
        commit: bool = True,
        log_code_name: str | None = None,
        watch_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(save_dir)
        self._init_kwargs = dict(init_kwargs or {})
        self._metrics = _metric_definitions(define_metric_cfg)
        self._commit = commit
        self._code_name = log_code_name
        self._watch_kwargs = dict(watch_kwargs or {})
        self._plottable = Plottable(type(self).__name__)
        self._rows = 0  # that the run had when this process, or this opening of it, began

    def _init_env(self) -> None:
        self._wandb = self._import()
        # A run that is open in this process stays as it is; else this one becomes the one of `wandb.log`.
        reinit = {} if self._wandb.run is None else {"reinit": "create_new"}
        mode = {} if "mode" in self._init_kwargs else _mode(self._wandb)
        self._run = self._wandb.init(**{"dir": self._save_dir, **reinit, **mode, **self._init_kwargs})
        self._init_kwargs.update(id=self._run.id, resume="allow")  # what comes after `close` belongs to the same run
        # Rows are numbered. A server knows how many there are already; files of a run that goes on do not.
        self._passed_over = max(self._run.starting_step - self._rows, 0)
        self._first_row = self._rows if self._rows > self._run.starting_step else None
        self._run.define_metric("*", step_metric=STEP)
        for definition in self._metrics:
            self._run.define_metric(**definition)
        if self._code_name is not None:
            self._run.log_code(name=self._code_name)

    def state_dict(self) -> dict[str, Any]:
        """Return the run's id, and how many rows it has."""
        if not self._env_initialized:
            return {}
        return {"id": self._run.id, "rows": self._run.step}

    def resume(self, state: Mapping[str, Any], iteration: int) -> None:
        """Go on in the run of a checkpoint; of later rows a server keeps its own, and those in files are replaced."""
        if state and not self._env_initialized and "id" not in self._init_kwargs:
            self._init_kwargs.update(id=state["id"], resume="allow")
            self._rows = state["rows"]
            print_log(f"{type(self).__name__} goes on in run {state['id']}", "current")

    def _log(self, row: dict[str, Any]) -> None:
        if self._commit and self._passed_over > 0:
            self._passed_over -= 1
            return
        self._run.log(row, step=self._first_row, commit=self._commit)
        self._first_row = None

    def _import(self) -> ModuleType:
        """Import the package; what it would report stays here, what it would keep in the home folder is the run's."""
        folder = Path(self._save_dir, "wandb").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
        os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
        with needs_extra("wandb", type(self).__name__):
            import wandb
        return wandb

    @property
    @force_init_env
    def experiment(self) -> BoundWandb:
        """The module `wandb`, whose `log`, `config`, `summary` and so on are this run's."""
        return BoundWandb(self._wandb, self._run)

    @force_init_env
    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Keep a `Config`, or the text of one, as the file `config.py`, and its values as wandb's config.

        Raises:
            TypeError: it is neither.
        """
        Path(self._run.dir, "config.py").write_text(config_text(config), encoding="utf-8")
        self._run.config.update(config_values(config), allow_val_change=True)

    @force_init_env
    def add_graph(self, model: nn.Module, data_batch: Any = (), **kwargs: Any) -> None:
        """Watch the model's gradients or weights, as `watch_kwargs` say."""
        self._run.watch(model, **self._watch_kwargs)

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Keep an RGB picture (H, W, 3)."""
        self._log({name: self._wandb.Image(as_rgb(image)), STEP: step})

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
        self._log({**numbers, STEP: step})

    def close(self) -> None:
        """End the run, sending or writing what is held back; what comes later opens it again."""
        if self._env_initialized:
            self._env_initialized = False
            self._rows = self._run.step
            self._run.finish()


class BoundWandb:
    """The module `wandb` as one run sees it: `log` and `config` are the run's, `Table` and `Image` the module's."""

    def __init__(self, module: ModuleType, run: Any) -> None:
        self.module = module
        self.run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.run if hasattr(self.run, name) else self.module, name)


def _metric_definitions(cfg: Mapping[str, str] | Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Return arguments of `define_metric`.

    Raises:
        TypeError: it is neither a dict nor a list of dicts.
    """
    if cfg is None:
        return []
    if isinstance(cfg, Mapping):
        return [{"name": name, "summary": summary, "step_metric": STEP} for name, summary in cfg.items()]
    if isinstance(cfg, (list, tuple)) and all(isinstance(one, Mapping) for one in cfg):
        return [dict(one) for one in cfg]
    raise TypeError(f"define_metric_cfg is a dict of summaries or a list of dicts, not {cfg!r}")


def _mode(wandb: ModuleType) -> dict[str, str]:
    """Return `{"mode": "offline"}` where being online would ask for a key or wait for a network."""
    if mode := os.environ.get("WANDB_MODE"):  # said here, as wandb reads the environment but once in a process
        return {"mode": mode}
    settings = wandb.setup().settings
    if settings.mode not in (None, "online"):  # after `wandb offline`
        return {}
    reason = _why_offline(settings)
    if reason is None:
        return {}
    print_log(f"wandb: {reason}, so this run is offline; `wandb sync` sends it later", "current")
    return {"mode": "offline"}


def _why_offline(settings: Any) -> str | None:
    import requests

    keys = (settings.api_key, settings.identity_token_file, requests.utils.get_netrc_auth(settings.base_url))
    if not any(keys):
        return "no account is known on this machine (`wandb login`)"
    try:
        requests.head(settings.base_url, timeout=SECONDS_TO_ANSWER)
    except requests.RequestException:
        return f"{settings.base_url} does not answer"
    return None
