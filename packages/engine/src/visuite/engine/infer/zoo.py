"""Which configs there are by name, and what configs and checkpoints say of their data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visuite.engine.config import Config, ConfigError
from visuite.engine.config.files import SUFFIXES, config_folders
from visuite.engine.dataset import inner_dataset
from visuite.engine.registry.scope import OWN_SCOPES, announced_packages
from visuite.engine.runner.checkpointer import candidates
from visuite.engine.utils.text import did_you_mean


def model_files(scope: str | None = None, patterns: str = "**/*.py") -> dict[str, Path]:
    """Return {name: config file} for a scope, or for all installed packages; the name is the file's, without suffix."""
    scopes = [scope] if scope is not None else sorted({*OWN_SCOPES, *announced_packages("visuite.scopes")})
    files: dict[str, Path] = {}
    for folder in [one for each in scopes for one in config_folders(each)]:
        for path in sorted(folder.glob(patterns)):
            if path.is_file() and not any(part.startswith("_") for part in path.relative_to(folder).parts):
                files.setdefault(path.stem, path)
    return files


def model_names(scope: str | None = None, patterns: str = "**/*.py") -> list[str]:
    """Return the names of `model_files`, sorted."""
    return sorted(model_files(scope, patterns))


def find_config(model: str, scope: str | None = None) -> str:
    """Return the config file that a path or the name of a model means.

    Raises:
        ConfigError: there is none; says the nearest name.
    """
    if Path(model).suffix in SUFFIXES:
        return model
    files = model_files(scope)
    if model not in files:
        raise ConfigError(f"no model is called {model!r}{did_you_mean(model, files)}")
    return str(files[model])


def run_in(work_dir: str | Path) -> tuple[str, str | None]:
    """Return the config of the run in a folder, and its best checkpoint, or the newest where none is called best.

    Raises:
        ConfigError: the folder holds no config.
    """
    configs = sorted(Path(work_dir).glob("*.py"), key=_age)
    if not configs:
        raise ConfigError(f"{work_dir} is a folder without a config; that of a run has it beside the checkpoints")
    best = sorted(Path(work_dir).glob("best_*.pth"), key=_age)
    checkpoints = best or candidates(Path(work_dir))
    return str(configs[0]), str(checkpoints[0]) if checkpoints else None


def _age(path: Path) -> int:
    return -path.stat().st_mtime_ns


def tested_dataset(cfg: Config) -> Mapping[str, Any]:
    """Return the config of the data set that is tested on, inside its wrappers; an empty one where there is none."""
    loader: Any = cfg.get("test_dataloader") or cfg.get("val_dataloader") or {}
    return inner_dataset(loader.get("dataset") or {})


def checkpoint_meta(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a checkpoint says of its run; nothing, for plain weights."""
    meta = checkpoint.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def dataset_meta(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about the data set that a checkpoint was trained on: `classes`, `palette`.

    Checkpoints of OpenMMLab spell these in capitals, those before 2.0 among the other facts of the run.
    """
    meta = checkpoint_meta(checkpoint)
    known = meta.get("dataset_meta")
    if not isinstance(known, Mapping):
        known = {name: meta[name] for name in ("CLASSES", "PALETTE") if meta.get(name) is not None}
    return {str(name).lower(): value for name, value in known.items()}
