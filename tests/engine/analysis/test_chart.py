"""Charts: where lines lie, what the axes say, and that odd numbers break nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.analysis import Curve, Line, chart_sheet, line_chart
from visuite.engine.analysis.chart import COLORS, Axis, _thinned, log_ticks, nice_ticks, tick_text

numbers = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(numbers, st.floats(1e-5, 1e6))
def test_ticks_are_few_round_and_inside(low, span):
    high = low + span
    if not span > 1e-6 * max(abs(low), abs(high)):
        return
    ticks = nice_ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high))
    assert 2 <= len(ticks) <= 8
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0], rtol=1e-3, atol=slack)
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
    assert min(abs(mantissa - one) for one in (1, 2, 5, 10)) < 0.05


def test_log_ticks():
    assert log_ticks(0.1, 10) == pytest.approx([0.1, 0.2, 0.5, 1, 2, 5, 10])
    assert log_ticks(0.05, 2e3) == pytest.approx([0.1, 1, 10, 100, 1000])
    assert len(log_ticks(1e-12, 1e12)) <= 7
    assert log_ticks(1.3, 2.3) == pytest.approx([1.4, 1.6, 1.8, 2.0, 2.2])  # within a decade, there are no others


def test_between_whole_numbers_stands_nothing():
    assert Axis(1, 4, 0, 100, whole=True).ticks() == [1, 2, 3, 4]
    assert Axis(1, 4, 0, 100).ticks() == [1, 1.5, 2, 2.5, 3, 3.5, 4]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.1, "0.1"), (25000, "25000"), (1e-4, "1e-4"), (2.5e-7, "2.5e-7"), (3e6, "3e6")]
)
def test_tick_text(value, text):
    assert tick_text(value) == text


def test_axis_places_its_ends_and_leaves_out_what_has_no_place():
    axis = Axis(0.0, 10.0, 100.0, 0.0)
    np.testing.assert_allclose(axis.place([0, 5, 10]), [100, 50, 0])
    assert np.isnan(axis.place([math.nan, math.inf])).all()
    log = Axis(1.0, 100.0, 0.0, 10.0, log=True)
    np.testing.assert_allclose(log.place([1, 10, 100]), [0, 5, 10])
    assert np.isnan(log.place([0.0, -1.0])).all()


def rows_of(picture: np.ndarray, color: tuple[int, int, int], column: int) -> np.ndarray:
    return np.flatnonzero((np.abs(picture[:, column].astype(int) - color).sum(axis=1)) < 40)


def test_lines_go_where_the_numbers_are():
    rising = line_chart([Line("a", Curve([0, 1, 2], [0.0, 1.0, 2.0]))], size=(400, 300))
    left, right = rows_of(rising, COLORS[0], 80), rows_of(rising, COLORS[0], 350)
    assert len(left)
    assert len(right)
    assert left.mean() > right.mean() + 100


def test_every_line_has_its_colour_and_a_name():
    curves = [Line(str(index), Curve([0, 1], [float(index)] * 2)) for index in range(3)]
    picture = line_chart(curves)
    for index in range(3):
        assert (np.abs(picture.astype(int) - COLORS[index]).sum(axis=2) < 10).sum() > 300


def test_not_finite_values_break_the_line():
    picture = line_chart([Line("a", Curve([0, 1, 2, 3], [1.0, 1.0, math.nan, 1.0]))], size=(400, 300))
    assert len(rows_of(picture, COLORS[0], 120))
    assert not len(rows_of(picture, COLORS[0], 300))


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [math.nan, math.nan], [1e30, -1e30], [-1.0, -2.0]])
@pytest.mark.parametrize("log", [False, True])
def test_odd_numbers_draw(values, log):
    picture = line_chart([Line("a", Curve(list(range(len(values))), values))], log=log)
    assert picture.shape == (360, 560, 3)


def test_long_curves_are_thinned_without_losing_a_peak():
    x = np.linspace(0, 500, 50_000)
    y = np.zeros_like(x)
    y[31_234] = -40.0
    kept = _thinned(np.stack([x, y], axis=1))
    assert len(kept) <= 4 * 502
    assert kept[:, 1].min() == -40
    assert (np.diff(kept[:, 0]) >= 0).all()


def test_sheet_has_a_chart_for_each_name():
    runs = {"a": {"loss": Curve([1, 2], [1.0, 2.0]), "lr": Curve([1, 2], [1.0, 2.0])}, "b": {"top1": Curve([1], [1.0])}}
    assert chart_sheet(runs, columns=2).shape == (720, 1120, 3)
    assert chart_sheet(runs, columns=9, smooth=0.5).shape == (360, 3 * 560, 3)
    with pytest.raises(ValueError, match="nothing to draw"):
        chart_sheet({"a": {}})


def test_smoothing_leaves_schedules_and_metrics_alone():
    steps = list(range(20))
    jump = Curve(steps, [float(step > 10) for step in steps])
    for name, alike in (("lr", True), ("base_lr", True), ("loss", False)):
        plain, smooth = (chart_sheet({"a": {name: jump}}, smooth=weight) for weight in (0.0, 0.9))
        assert np.array_equal(plain, smooth) == alike, name
