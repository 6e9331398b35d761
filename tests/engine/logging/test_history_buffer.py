from __future__ import annotations

import math
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.logging import HistoryBuffer

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def test_values_are_sums_over_their_counts() -> None:
    buffer = HistoryBuffer()
    for value in (1, 2, 3):
        buffer.update(value, value)
    values, counts = buffer.data
    np.testing.assert_array_equal(values, [1, 2, 3])
    np.testing.assert_array_equal(counts, [1, 2, 3])
    assert buffer.mean(2) == 1.0
    assert buffer.mean() == 1.0
    assert (buffer.max(2), buffer.min(2), buffer.max(), buffer.min(), buffer.current()) == (3, 2, 3, 1, 3)


@given(VALUES, st.integers(1, 70), st.integers(1, 30))
def test_statistics_against_their_definition(values: list[float], window: int, length: int) -> None:
    buffer = HistoryBuffer(max_length=length)
    for value in values:
        buffer.update(value)
    kept = values[-length:]
    newest = kept[-window:]
    assert len(buffer) == len(kept)
    assert buffer.data[0].tolist() == kept
    assert buffer.mean(window) == pytest.approx(np.mean(newest), abs=1e-6)
    assert (buffer.max(window), buffer.min(window)) == (max(newest), min(newest))
    # Without a window: everything ever seen, also what is forgotten.
    exact = float(sum(map(Fraction, values)) / len(values))
    assert buffer.mean() == pytest.approx(exact, rel=1e-9, abs=1e-6)
    assert (buffer.max(), buffer.min(), buffer.current()) == (max(values), min(values), values[-1])


@given(VALUES, st.integers(0, 60))
def test_totals_do_not_depend_on_when_somebody_looked(values: list[float], cut: int) -> None:
    looked, resumed = HistoryBuffer(max_length=7), HistoryBuffer(max_length=7)
    straight = HistoryBuffer(max_length=7)
    for index, value in enumerate(values):
        straight.update(value)
        looked.update(value)
        _ = looked.mean()
        if index == cut:
            resumed = HistoryBuffer.from_state(resumed.state_dict())
        resumed.update(value)
    assert straight.mean() == looked.mean() == resumed.mean()
    assert straight.max() == resumed.max()
    assert straight.data[0].tolist() == resumed.data[0].tolist()


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        torch.tensor(0.5),
        torch.tensor([[0.5]], requires_grad=True),
        torch.tensor(0.5, dtype=torch.bfloat16),
        np.array([0.5]),
        np.float32(0.5),
    ],
)
def test_any_scalar_becomes_a_float(value: object) -> None:
    buffer = HistoryBuffer()
    buffer.update(value)
    assert type(buffer.current()) is float
    assert buffer.current() == 0.5


def test_a_tensor_changed_later_keeps_its_logged_value() -> None:
    running, buffer = torch.zeros(()), HistoryBuffer()
    for _ in range(3):
        running += 1
        buffer.update(running)
    assert buffer.data[0].tolist() == [1, 2, 3]


def test_device_tensors_are_read_together_and_in_order() -> None:
    """Values on an accelerator wait until somebody asks; 'meta' stands for one, as reading from it is an error."""
    buffer = HistoryBuffer()
    away = torch.zeros((), device="meta")
    for number in range(10):
        buffer.update(float(number))
        buffer.update(away)  # would raise if it were read here
    calls = []

    def stack(tensors: list[torch.Tensor]) -> torch.Tensor:
        calls.append(len(tensors))
        return torch.arange(100.0, 100.0 + len(tensors))

    with mock.patch("torch.stack", stack):
        values = buffer.data[0].tolist()
    assert calls == [10]
    assert values == [value for number in range(10) for value in (float(number), 100.0 + number)]


def test_pending_values_are_bounded() -> None:
    buffer = HistoryBuffer(max_length=5)
    for number in range(3 * HistoryBuffer.PENDING_LIMIT + 1):
        buffer.update(float(number))
        assert len(buffer._pending) < HistoryBuffer.PENDING_LIMIT
    assert len(buffer) == 5
    assert buffer.mean() == pytest.approx(3 * HistoryBuffer.PENDING_LIMIT / 2)


def test_nan_is_not_hidden() -> None:
    buffer = HistoryBuffer()
    for value in (1.0, math.nan, 2.0):
        buffer.update(value)
    for statistic in (buffer.mean, buffer.max, buffer.min):
        assert math.isnan(statistic())
        assert math.isnan(statistic(2))
    assert buffer.mean(1) == 2.0


def test_own_statistics() -> None:
    @HistoryBuffer.register_statistics
    def spread(self: HistoryBuffer, window_size: int | None = None) -> float:
        return self.max(window_size) - self.min(window_size)

    try:
        assert HistoryBuffer([1, 5, 2], [1, 1, 1]).statistics("spread", 2) == 3
        with pytest.raises(KeyError, match="did you mean 'spread'"):
            HistoryBuffer().statistics("spraed")
    finally:
        del HistoryBuffer._statistics_methods["spread"]


def test_faults() -> None:
    with pytest.raises(ValueError, match="differ in length: 1 and 2"):
        HistoryBuffer([1], [1, 2])
    with pytest.raises(ValueError, match="max_length"):
        HistoryBuffer(max_length=0)
    buffer = HistoryBuffer()
    assert math.isnan(buffer.mean())
    with pytest.raises(ValueError, match="the history is empty"):
        buffer.current()
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        buffer.update(torch.ones(2))
    with pytest.raises(TypeError, match="not str"):
        buffer.update("high")
    with pytest.raises(TypeError, match="count"):
        buffer.update(1.0, "two")
    buffer.update(1.0)
    with pytest.raises(ValueError, match="window_size"):
        buffer.mean(0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_appending_never_waits_for_the_accelerator() -> None:
    buffer, value = HistoryBuffer(), torch.ones((), device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            value += 1
            buffer.update(value)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert buffer.data[0].tolist() == [2, 3, 4, 5, 6]
