"""The history of one scalar: cheap to append to, read only when somebody asks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import islice
from operator import add
from typing import Any, ClassVar, Self

import numpy as np
import torch

from visuite.engine.utils.text import did_you_mean

Scalar = int | float | np.ndarray | np.generic | torch.Tensor


class HistoryBuffer:
    """Remember the newest values of a scalar and exact totals of all of them.

    A value may be the sum over several observations; `count` says how many, and `mean` divides by it.
    A value on an accelerator is copied there and read when a statistic is asked for, many at once: appending
    never makes the host wait for the device.

    Args:
        log_history: Values to begin with.
        count_history: Their counts.
        max_length: How many values stay. `mean`, `max` and `min` without a window cover the forgotten ones too.

    Raises:
        ValueError: the two histories differ in length, or `max_length` is not positive.
    """

    #: Values waiting to be read. The limit bounds memory, and makes the device wait once in so many updates.
    PENDING_LIMIT: ClassVar[int] = 1024
    _statistics_methods: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(
        self,
        log_history: Sequence[float] | np.ndarray = (),
        count_history: Sequence[float] | np.ndarray = (),
        max_length: int = 1_000_000,
    ) -> None:
        if len(log_history) != len(count_history):
            raise ValueError(
                f"log_history and count_history differ in length: {len(log_history)} and {len(count_history)}"
            )
        if max_length < 1:
            raise ValueError(f"max_length is positive, not {max_length}")
        self.max_length = int(max_length)
        self._values: deque[float] = deque(maxlen=self.max_length)
        self._counts: deque[float] = deque(maxlen=self.max_length)
        self._pending: list[tuple[float | torch.Tensor, float]] = []
        self._sum = self._count = 0.0
        self._max, self._min = -math.inf, math.inf
        self._append(list(map(float, log_history)), list(map(float, count_history)))

    # ------------------------------------------------------------------ appending

    def update(self, log_val: Scalar, count: float = 1) -> None:
        """Append a value, which may be the sum over `count` observations.

        Raises:
            TypeError: the value is not a number, or `count` is none.
            ValueError: an array or tensor has more than one element.
        """
        if type(log_val) is not float:
            log_val = _as_scalar(log_val)
        if type(count) is not int and not isinstance(count, (int, float)):
            raise TypeError(f"count is a number, not {type(count).__name__}")
        self._pending.append((log_val, count))
        if len(self._pending) >= self.PENDING_LIMIT:
            self._read()

    def _read(self) -> None:
        """Turn what is pending into floats: one transfer per device and type."""
        pending, self._pending = self._pending, []
        groups: dict[tuple[torch.device, torch.dtype], dict[int, torch.Tensor]] = {}
        values = [math.nan if isinstance(value, torch.Tensor) else value for value, _ in pending]
        for index, (value, _) in enumerate(pending):
            if isinstance(value, torch.Tensor):
                groups.setdefault((value.device, value.dtype), {})[index] = value
        for tensors in groups.values():
            numbers = torch.stack(list(tensors.values())).cpu().double().tolist()
            for index, number in zip(tensors, numbers, strict=True):
                values[index] = number
        self._append(values, [count for _, count in pending])

    def _append(self, values: list[float], counts: list[float]) -> None:
        if not values:
            return
        self._values.extend(values)
        self._counts.extend(counts)
        # One by one, not sum(): the totals must not depend on how often somebody looked.
        self._sum = reduce(add, values, self._sum)
        self._count = reduce(add, counts, self._count)
        self._max, self._min = max(self._max, *values), min(self._min, *values)
        if math.isnan(self._sum) and any(map(math.isnan, (*values, self._max, self._min))):
            self._max = self._min = math.nan

    # ------------------------------------------------------------------ reading

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """The values and their counts that are still remembered, oldest first."""
        self._read()
        return np.array(self._values, dtype=np.float64), np.array(self._counts, dtype=np.float64)

    def __len__(self) -> int:
        return min(len(self._values) + len(self._pending), self.max_length)

    @classmethod
    def register_statistics(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Let `statistics` find a function of a buffer by its name; use as a decorator.

        Example:
            >>> @HistoryBuffer.register_statistics
            ... def weighted(self, window_size): ...
        """
        HistoryBuffer._statistics_methods[method.__name__] = method
        return method

    def statistics(self, method_name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a statistic by name: `mean`, `max`, `min`, `current` or a registered one.

        Raises:
            KeyError: no such statistic.
        """
        method = self._statistics_methods.get(method_name)
        if method is None:
            known = sorted(self._statistics_methods)
            raise KeyError(
                f"HistoryBuffer has no statistic {method_name!r}{did_you_mean(method_name, known)} (there are {known})"
            )
        return method(self, *args, **kwargs)

    def mean(self, window_size: int | None = None) -> float:
        """Return sum of values / sum of counts over the newest `window_size` values, by default over all ever seen."""
        self._read()
        if window_size is None:
            return _ratio(self._sum, self._count)
        return _ratio(sum(self._newest(self._values, window_size)), sum(self._newest(self._counts, window_size)))

    def max(self, window_size: int | None = None) -> float:
        """Return the largest of the newest `window_size` values, by default of all ever seen."""
        return self._extreme(np.max, lambda: self._max, window_size)

    def min(self, window_size: int | None = None) -> float:
        """Return the smallest of the newest `window_size` values, by default of all ever seen."""
        return self._extreme(np.min, lambda: self._min, window_size)

    def current(self) -> float:
        """Return the newest value.

        Raises:
            ValueError: nothing has been appended yet.
        """
        self._read()
        self._need_values("current")
        return self._values[-1]

    def _extreme(self, pick: Callable[..., Any], overall: Callable[[], float], window_size: int | None) -> float:
        self._read()
        self._need_values("max or min")
        return overall() if window_size is None else float(pick(self._newest(self._values, window_size)))

    def _newest(self, of: deque[float], window_size: int) -> list[float]:
        if window_size < 1:
            raise ValueError(f"window_size is positive, not {window_size}")
        return list(islice(reversed(of), window_size))[::-1]

    def _need_values(self, statistic: str) -> None:
        if not self._values:
            raise ValueError(f"the history is empty: call update() before asking for {statistic}")

    # ------------------------------------------------------------------ saving

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and numbers that bring the buffer back, totals of forgotten values included."""
        values, counts = self.data
        return {
            "log_history": torch.from_numpy(values),
            "count_history": torch.from_numpy(counts),
            "max_length": self.max_length,
            "totals": (self._sum, self._count, self._max, self._min),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Bring a buffer back from `state_dict`, or from the attributes of one that OpenMMLab's runner saved.

        Raises:
            KeyError: the state holds no history.
        """
        old = "" if "log_history" in state else "_"
        values, counts = _as_list(state[f"{old}log_history"]), _as_list(state[f"{old}count_history"])
        buffer = cls(values, counts, state.get(f"{old}max_length", 1_000_000))
        if "totals" in state:
            buffer._sum, buffer._count, buffer._max, buffer._min = state["totals"]
        return buffer


for _statistic in (HistoryBuffer.mean, HistoryBuffer.max, HistoryBuffer.min, HistoryBuffer.current):
    HistoryBuffer.register_statistics(_statistic)


def _as_scalar(value: Any) -> float | torch.Tensor:
    """Return a float, or for a value on an accelerator a copy of its own there."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ValueError(f"a logged scalar has one element, not the {value.numel()} of shape {tuple(value.shape)}")
        # The owner may change the tensor in place before it is read (running sums, CUDA graphs): hence the copy.
        return float(value.item()) if value.is_cpu else value.detach().reshape(()).clone()
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(
            f"a logged scalar is a number or an array or tensor with one element, not {type(value).__name__}"
        )
    if value.size != 1:
        raise ValueError(f"a logged scalar has one element, not the {value.size} of shape {value.shape}")
    return float(value.item())


def _ratio(total: float, count: float) -> float:
    return total / count if count else math.nan


def _as_list(values: Any) -> list[float]:
    return values.tolist() if isinstance(values, (np.ndarray, torch.Tensor)) else list(values)
