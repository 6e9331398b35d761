"""Curves read back from scalar logs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.analysis import Curve, read_curves, read_records
from visuite.engine.analysis.logs import choose, summary
from visuite.engine.visualization import LocalVisBackend


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def train(step, loss, **more):
    return {"lr": 0.1, "loss": loss, "time": 0.2, "epoch": 1, "iter": step, "step": step, **more}


def test_training_and_validation_have_axes_of_their_own(tmp_path):
    log = write(tmp_path / "scalars.json", [train(10, 2.0), train(20, 1.0), {"top1": 50.0, "time": 0.1, "step": 1}])
    curves = read_curves(log)
    assert curves["loss"] == Curve([10, 20], [2.0, 1.0], "iteration")
    assert curves["top1"] == Curve([1], [50.0], "step")
    assert curves["time"].values == [0.2, 0.2]
    assert curves["val/time"].values == [0.1]
    assert set(curves) == {"lr", "loss", "time", "top1", "val/time"}


def test_what_the_backend_writes_is_read(tmp_path):
    backend = LocalVisBackend(str(tmp_path))
    for step in (1, 2, 3):
        backend.add_scalars({"loss": 1 / step, "iter": step}, step=step)
    backend.add_scalars({"loss": float("nan"), "iter": 4}, step=4)
    backend.close()
    curve = read_curves(tmp_path)["loss"]
    assert curve.values[:3] == [1.0, 0.5, 1 / 3]
    assert math.isnan(curve.values[3])


def test_resumed_run_is_one_curve(tmp_path):
    write(tmp_path / "20260101_000000/vis_data/scalars.json", [train(step, 1.0) for step in (10, 20, 30)])
    write(tmp_path / "20260102_000000/vis_data/scalars.json", [train(step, 2.0) for step in (20, 30, 40)])
    assert read_curves(tmp_path)["loss"] == Curve([10, 20, 30, 40], [1.0, 2.0, 2.0, 2.0], "iteration")


def test_line_cut_short_by_a_kill_is_dropped_but_none_in_the_middle(tmp_path):
    path = write(tmp_path / "scalars.json", [train(10, 1.0), train(20, 2.0)])
    path.write_text(path.read_text() + '{"loss": 1.')
    assert len(read_records(path)) == 2
    path.write_text('{"loss": 1.\n' + path.read_text())
    with pytest.raises(ValueError, match=r"scalars\.json:1: no line of a scalar log"):
        read_records(path)


def test_no_log_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no scalars\.json"):
        read_curves(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_curves(tmp_path / "none.json")


def test_choice_names_what_there_is():
    curves = {"loss": Curve([1], [1.0]), "lr": Curve([1], [1.0])}
    assert list(choose(curves, ["lr"])) == ["lr"]
    with pytest.raises(KeyError, match="'los'; did you mean 'loss'"):
        choose(curves, ["los"])


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(0, 0.99))
def test_smoothing_is_a_weighted_mean_of_the_past(values, weight):
    smooth = Curve(list(range(len(values))), values).smoothed(weight).values
    last = len(values) - 1
    weights = np.array([weight ** (last - index) for index in range(len(values))])
    assert smooth[-1] == pytest.approx(float((weights * values).sum() / weights.sum()), abs=1e-9)
    assert smooth[0] == pytest.approx(values[0])


def test_smoothing_passes_over_what_is_not_finite():
    smooth = Curve([1, 2, 3], [math.nan, 1.0, math.inf]).smoothed(0.5).values
    assert math.isnan(smooth[0])
    assert smooth[1:] == [1.0, 1.0]
    with pytest.raises(ValueError, match="below 1"):
        Curve([1], [1.0]).smoothed(1.0)


def test_summary():
    rows = summary({"loss": Curve([1, 2, 3], [3.0, 1.0, math.nan])})
    assert rows[1] == ("loss", "3", "nan", "1", "3")
