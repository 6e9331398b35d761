"""The numbers of a run, read back from its `scalars.json`.

A line of the file is a JSON object. Lines of training have `iter`; what a validation found has only its `step`, which
counts epochs in training by epochs. OpenMMLab's logs of version 2 have the same form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visuite.engine.fileio import get_text
from visuite.engine.utils.text import did_you_mean

SCALARS = "scalars.json"
#: Where a number stands, not what it is.
_POSITIONS = ("iter", "step", "epoch")


@dataclass
class Curve:
    """One number over the steps of a run.

    Attributes:
        steps: When it was written, rising.
        values: What it was.
        unit: What steps count: 'iteration' in training, 'step' for validations (epochs, in training by epochs).
    """

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    unit: str = "iteration"

    def smoothed(self, weight: float) -> Curve:
        """Return the exponential mean, with 0 <= weight < 1; the weight of the missing past is taken out."""
        if not 0 <= weight < 1:
            raise ValueError(f"the weight of smoothing is at least 0 and below 1, not {weight}")
        mean, total, smooth = 0.0, 0.0, []
        for value in self.values:
            if math.isfinite(value):
                mean, total = weight * mean + (1 - weight) * value, weight * total + (1 - weight)
            smooth.append(mean / total if total else math.nan)
        return Curve(list(self.steps), smooth, self.unit)


def log_files(path: str | Path) -> list[str]:
    """Return the scalar files of a run, oldest first: the file itself, or all in its folder.

    Raises:
        FileNotFoundError: there is none.
    """
    if "://" in str(path) or not Path(path).is_dir():
        return [str(path)]
    found = sorted(Path(path).rglob(SCALARS))
    if not found:
        raise FileNotFoundError(f"there is no {SCALARS} in {path} or below it")
    return [str(file) for file in found]


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a scalar file as dicts; a line cut short at the end, as a killed run leaves it, is dropped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no JSON object; names it.
    """
    lines = get_text(path).splitlines()
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("a JSON object is needed")
        except ValueError as error:
            if number == len(lines) and records:
                continue
            raise ValueError(f"{path}:{number}: no line of a scalar log: {error}") from None
        records.append(record)
    return records


def read_curves(path: str | Path) -> dict[str, Curve]:
    """Return {name: curve} of a run, in the order in which names appear.

    Where a resumed run has gone over the same steps again, the later numbers count.

    Args:
        path: A scalar file, or a folder with those of a run and its resumptions.
    """
    points: dict[tuple[str, str], dict[float, float]] = {}
    for file in log_files(path):
        for record in read_records(file):
            unit = "iteration" if "iter" in record else "step"
            step = float(record.get("iter", record.get("step", 0)))
            for name, value in record.items():
                if name not in _POSITIONS and isinstance(value, (int, float)) and not isinstance(value, bool):
                    points.setdefault((name, unit), {})[step] = float(value)
    both = {name for name, unit in points if (name, "iteration" if unit == "step" else "step") in points}
    curves = {}
    for (name, unit), values in points.items():
        shown = f"val/{name}" if name in both and unit == "step" else name  # `time` is told of both
        steps = sorted(values)
        curves[shown] = Curve(steps, [values[step] for step in steps], unit)
    return curves


def choose(curves: dict[str, Curve], names: Iterable[str]) -> dict[str, Curve]:
    """Return the named curves, in that order.

    Raises:
        KeyError: one of them is not there; says which are.
    """
    chosen = {}
    for name in names:
        if name not in curves:
            raise KeyError(f"the log has no {name!r}{did_you_mean(name, curves)}; it has {', '.join(curves)}")
        chosen[name] = curves[name]
    return chosen


def summary(curves: dict[str, Curve]) -> list[tuple[str, ...]]:
    """Return rows of name, number of points, last, lowest and highest value, with a head."""
    rows: list[tuple[str, ...]] = [("name", "points", "last", "lowest", "highest")]
    for name, curve in curves.items():
        finite = [value for value in curve.values if math.isfinite(value)] or [math.nan]
        told = (f"{one:.5g}" for one in (curve.values[-1], min(finite), max(finite)))
        rows.append((name, str(len(curve.values)), *told))
    return rows
