"""Keys at the top level of a config that nobody reads.

Variables are legitimate there: `epochs`, `classes`, `data_root`, `train_pipeline` serve to write the rest. So a key is
told of only where it looks like a slip: it resembles one that is read, belongs to OpenMMLab 1.x, or holds configs
of parts (dicts with a `type`) that stand nowhere in what the run reads. What a base sets is not looked at: a file that
replaces a part leaves the variables behind that the base wrote it with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from visuite.engine.check.finding import Findings
from visuite.engine.config import Config
from visuite.engine.config.config import OPTIONS_SOURCE
from visuite.engine.runner.spec import RunnerSpec

#: Keys that the runner, its strategy and the tools read besides the arguments of Runner.
MORE_KEYS = frozenset({
    "custom_imports", "runner_type", "device", "strategy", "compile", "channels_last", "sync_bn", "model_wrapper_cfg",
    "find_unused_parameters", "static_graph", "tta_model", "tta_pipeline",
})  # fmt: skip
KNOWN_KEYS = frozenset(one.name for one in fields(RunnerSpec)) - {"cfg"} | MORE_KEYS
#: Keys of OpenMMLab 1.x, and what stands for them now.
OLD_KEYS = {
    "data": "train_dataloader, val_dataloader and test_dataloader",
    "optimizer": "optim_wrapper=dict(optimizer=...)",
    "optimizer_config": "optim_wrapper=dict(clip_grad=...)",
    "lr_config": "param_scheduler",
    "momentum_config": "param_scheduler",
    "runner": "train_cfg",
    "total_epochs": "train_cfg",
    "evaluation": "val_evaluator and train_cfg.val_interval",
    "checkpoint_config": "default_hooks.checkpoint",
    "log_config": "default_hooks.logger and visualizer",
    "dist_params": "env_cfg.dist_cfg",
    "resume_from": "load_from with resume=True",
}
#: Customary variables, which resemble keys that are read.
VARIABLES = frozenset({"train_pipeline", "val_pipeline", "test_pipeline"})
_LIKENESS = 0.8  # of a slip to what was meant


def check_keys(cfg: Config, findings: Findings) -> None:
    """Warn of top-level keys that look as if they were meant to be read, and are not."""
    read = {key: cfg[key] for key in cfg if key in KNOWN_KEYS}
    parts = list(_containers(list(read.values())))
    for key, value in cfg.to_dict().items():
        if key in KNOWN_KEYS or not _is_newest(cfg, key):
            continue
        near = [] if key in VARIABLES else get_close_matches(str(key), KNOWN_KEYS, n=1, cutoff=_LIKENESS)
        if _is_used(value, parts) and not (near and near[0] not in cfg):
            continue  # a variable; but one like a key that is absent may have been meant to be that key
        if key in OLD_KEYS and isinstance(value, dict):
            findings.warn(key, f"nobody reads {key!r}, which is of OpenMMLab 1.x; now it is {OLD_KEYS[key]}")
        elif near:
            findings.warn(key, f"nobody reads {key!r}; did you mean {near[0]!r}?")
        elif _holds_parts(value) and not _was_edited(cfg):
            findings.warn(key, f"nothing in the run equals {key!r}, which is set here: what it holds has no effect")


def _containers(value: Any) -> Iterator[Any]:
    """Yield all dicts, lists and tuples in a value."""
    if isinstance(value, (dict, list, tuple)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _containers(item)


def _is_used(value: Any, parts: list[Any]) -> bool:
    """Whether a variable's value, which may have been extended or spliced, stands somewhere in the parts of the run."""
    if isinstance(value, dict) and value:
        return any(isinstance(part, dict) and value.items() <= part.items() for part in parts)
    if isinstance(value, (list, tuple)) and value:
        held = [item for item in value if isinstance(item, (dict, list, tuple)) and item]
        return value in parts or (bool(held) and all(_is_used(item, parts) for item in held))
    return False


def _holds_parts(value: Any) -> bool:
    return any(isinstance(part, Mapping) and "type" in part for part in _containers(value))


def _is_newest(cfg: Config, key: str) -> bool:
    """Whether the config's own file set a key; what a base left over is no slip of this file."""
    where = cfg.where(key)
    return where is None or cfg.filename is None or where.file == os.path.abspath(os.path.expanduser(cfg.filename))


def _was_edited(cfg: Config) -> bool:
    """Whether the command line set something, perhaps inside the copy of a variable that the run reads."""
    places = (getattr(part, "marks", None) or {} for part in _containers(cfg._cfg_dict))
    return any(place.file == OPTIONS_SOURCE for marks in places for place in marks.values())
