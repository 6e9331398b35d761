"""Operators of plain values, their results weighed before they are made."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from visuite.engine.config.limits import Budget

_SEQUENCES = (str, bytes, list, tuple)


def add(budget: Budget, left: Any, right: Any) -> Any:
    """Return `left + right`."""
    if isinstance(left, _SEQUENCES) and isinstance(right, _SEQUENCES):
        _pay(budget, left, len(left) + len(right))
    return budget.result(left + right)


def multiply(budget: Budget, left: Any, right: Any) -> Any:
    """Return `left * right`, a repetition for a sequence and a count."""
    for sequence, count in ((left, right), (right, left)):
        if isinstance(sequence, _SEQUENCES) and isinstance(count, int):
            _pay(budget, sequence, len(sequence) * max(count, 0))
    if isinstance(left, int) and isinstance(right, int):
        budget.bits(left.bit_length() + right.bit_length() - 1)
    return budget.result(left * right)


def power(budget: Budget, base: Any, exponent: Any) -> Any:
    """Return `base ** exponent`."""
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1:
        budget.bits(abs(exponent) * (base.bit_length() - 1))
    return budget.result(base**exponent)


def shift_left(budget: Budget, value: Any, count: Any) -> Any:
    """Return `value << count`."""
    if isinstance(value, int) and isinstance(count, int) and value:
        budget.bits(value.bit_length() + count)
    return budget.result(value << count)


def _pay(budget: Budget, sequence: Any, length: int) -> None:
    if isinstance(sequence, (str, bytes)):
        budget.text(length)
    else:
        budget.items(length)


def checked(function: Callable[[Any, Any], Any]) -> Callable[[Budget, Any, Any], Any]:
    """Let an operator whose result is no larger than its operands be used."""

    def run(budget: Budget, left: Any, right: Any) -> Any:
        for value in (left, right):
            if isinstance(value, (set, dict)):
                budget.keys(value, value)
        return budget.result(function(left, right))

    return run


def compare(budget: Budget, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Return what a comparison says of two values."""
    if function not in (operator.is_, operator.is_not):
        for value in (left, right):
            if not isinstance(value, (int, float, type(None))):
                budget.weigh(value)
        if isinstance(right, (set, dict)):
            budget.keys([left] if not isinstance(left, (set, dict)) else left, right)
    return function(left, right)
