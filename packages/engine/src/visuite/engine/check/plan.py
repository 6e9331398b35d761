"""Values that do not go together: half-given triples, schedules and intervals that miss the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visuite.engine.check.finding import Findings
from visuite.engine.config import Config
from visuite.engine.registry import ConfigPathError
from visuite.engine.runner.spec import TRIPLES, RunnerSpec


def check_plan(cfg: Config, findings: Findings) -> None:
    """Hold the parts of a config against each other."""
    _check_triples(cfg, findings)
    length = _length(cfg)
    if length is not None:
        unit, end = length
        _check_validation(cfg, findings, unit, end)
        _check_schedules(cfg, findings, unit, end)


def _check_triples(cfg: Config, findings: Findings) -> None:
    try:
        RunnerSpec.from_cfg({"work_dir": "", **{key: value for key, value in cfg.items() if value is not None}})
    except ConfigPathError as error:
        given = [n for names in TRIPLES.values() for n in names if cfg.get(n) is not None and n in str(error)]
        path = error.config_path
        findings.error(path, str(error).removeprefix(f"{path}: "), at=path or next(iter(given), ""))


def _length(cfg: Config) -> tuple[str, int] | None:
    """Return ('epochs' or 'iterations', how many) of the training, where the config tells."""
    loop = cfg.get("train_cfg")
    if isinstance(loop, Mapping):
        for unit, key in (("epochs", "max_epochs"), ("iterations", "max_iters")):
            if isinstance(loop.get(key), (int, float)):
                return unit, int(loop[key])
    return None


def _check_validation(cfg: Config, findings: Findings, unit: str, end: int) -> None:
    loop = cfg["train_cfg"]
    if cfg.get("val_cfg") is None:
        return
    begin, interval = loop.get("val_begin", 1), loop.get("val_interval", 1)
    if isinstance(begin, int) and begin > end:
        said = f"validation begins after {begin} {unit} of {end}, so it never comes"
        findings.warn("train_cfg.val_begin", said)
    elif isinstance(interval, int) and interval > end and "val_interval" in loop:
        said = f"validation comes every {interval} {unit}, and there are {end}: it comes once, at the end"
        findings.warn("train_cfg.val_interval", said)


# ---------------------------------------------------------------------- schedules


def _check_schedules(cfg: Config, findings: Findings, unit: str, end: int) -> None:
    lasts: dict[str, tuple[int, str]] = {}  # parameter -> (the last end of its schedulers, whose it is)
    open_ended: set[str] = set()  # parameters that something follows to the end, or for an unknown time
    for path, one in _schedulers(cfg.get("param_scheduler")):
        if not all(isinstance(one.get(key, 0), int) for key in ("begin", "end")):
            continue
        what = _scheduled(one)
        own_unit = "epochs" if one.get("by_epoch", True) else "iterations"
        if own_unit != unit:
            if unit == "iterations":
                said = "counts epochs (by_epoch=True), and training by iterations is one long epoch: it does nothing"
                findings.warn(path, said)
            continue  # how many iterations an epoch has is not known here
        _check_window(one, path, findings, unit, end)
        last = one.get("end", end)
        if not isinstance(last, int) or "Plateau" in str(one.get("type")):
            open_ended.add(what)
        elif last > lasts.get(what, (0, ""))[0]:
            lasts[what] = (last, path)
    for what, (last, path) in lasts.items():
        if last < end and what not in open_ended:
            said = f"the last schedule of the {what} ends after {last} of {end} {unit}; from there it stays as it is"
            findings.warn(path, said, at=f"{path}.end")


def _check_window(one: Mapping[str, Any], path: str, findings: Findings, unit: str, end: int) -> None:
    begin, milestones, turn = one.get("begin", 0), one.get("milestones"), one.get("T_max")
    if isinstance(begin, int) and begin >= end:
        findings.warn(path, f"begins after {begin} {unit}, and there are {end}: it does nothing", at=f"{path}.begin")
    if isinstance(milestones, (list, tuple)) and milestones and all(isinstance(m, int) for m in milestones):
        late = [m for m in milestones if m > end]  # the last step of all is a common one
        if late:
            said = f"milestones {late} are never reached: there are {end} {unit}"
            findings.warn(path, said, at=f"{path}.milestones")
    if isinstance(turn, int) and isinstance(begin, int) and begin + turn < min(one.get("end") or end, end):
        said = f"T_max={turn} is shorter than the schedule, which goes to {min(one.get('end') or end, end)} {unit}"
        findings.warn(path, f"{said}: the value rises again after it", at=f"{path}.T_max")


def _schedulers(value: Any, path: str = "param_scheduler") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield all configs of schedulers: one, a list of them, or a dict by optimizer of either."""
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _schedulers(item, f"{path}.{index}")
    elif isinstance(value, Mapping):
        if "type" in value:
            yield path, value
        else:
            for key, item in value.items():
                yield from _schedulers(item, f"{path}.{key}")


def _scheduled(one: Mapping[str, Any]) -> str:
    """Return what a scheduler changes: the learning rate, the momentum, or the parameter it names."""
    kind = str(getattr(one["type"], "__name__", one["type"]))
    return "momentum" if kind.endswith("Momentum") else str(one.get("param_name", "learning rate"))
