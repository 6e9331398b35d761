"""From the message hub's history to log lines, and to the numbers that trackers get."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import torch

from visuite.engine.logging import HistoryBuffer, print_log
from visuite.engine.registry import LOG_PROCESSORS
from visuite.engine.utils.text import did_you_mean

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

#: What stands in front of the losses, in this order.
TIMES = ("time", "data_time")
MODES = ("train/", "val/", "test/")
LEARNING_RATE = re.compile(r"(^|[./_])(base_)?lr$")


@dataclass(frozen=True)
class Rule:
    """One entry of `custom_cfg`: which statistic of which scalar is shown, under which name."""

    data_src: str
    log_name: str | None = None
    method_name: str = "mean"
    window_size: int | str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_cfg(cls, cfg: Any) -> Self:
        """Read and check one entry.

        Raises:
            TypeError, ValueError: it is no dict, has no `data_src`, or an odd `window_size`.
        """
        if not isinstance(cfg, Mapping):
            raise TypeError(f"an entry of LogProcessor's custom_cfg is a dict, not {type(cfg).__name__}")
        others = dict(cfg)
        if "data_src" not in others:
            raise ValueError(f"an entry of LogProcessor's custom_cfg needs 'data_src', the scalar's name: {others}")
        named = {name: others.pop(name) for name in ("data_src", "log_name", "method_name") if name in others}
        window = others.pop("window_size", None)
        if window not in (None, "epoch", "global") and not (isinstance(window, int) and window > 0):
            raise ValueError(
                f"custom_cfg of {named['data_src']!r}: window_size is a number, 'epoch' or 'global', not {window!r}"
            )
        return cls(**named, window_size=window, others=others)

    def value(self, buffer: HistoryBuffer, *, epoch_window: int, default_window: int) -> Any:
        """Ask a scalar's history for the statistic."""
        if self.method_name == "current":
            return buffer.statistics("current", **self.others)
        window: int | None = default_window
        if self.window_size == "epoch":
            window = epoch_window
        elif self.window_size == "global":
            window = None  # all that was ever seen, not only what the buffer still holds
        elif isinstance(self.window_size, int):
            window = self.window_size
        return buffer.statistics(self.method_name, window_size=window, **self.others)


@LOG_PROCESSORS.register_module()
class LogProcessor:
    """Choose, smooth and print the scalars of a run.

    A line of training reads `Epoch(train) [1][100/391]  lr: 1.0000e-01  eta: 0:12:31  time: 0.2500  data_time: 0.0100
    memory: 812  loss: 0.0210`.

    Args:
        window_size: How many of the newest values a mean is over.
        by_epoch: Count by epochs, as training by epochs does, or else by iterations.
        custom_cfg: `[dict(data_src='loss', log_name='loss_all', method_name='mean', window_size='global'), ...]`.
            Without `log_name` the entry replaces what is shown for the scalar. `window_size` is a number, 'epoch' or
            'global'. `data_src` is any scalar of the message hub, one without a mode in front ('margin') too.
        num_digits: Digits behind the point.
        log_with_hierarchy: Name scalars with their stage (`train/loss`).
        mean_pattern: Scalars whose names match are shown as means, others as they are now.

    Raises:
        ValueError: `custom_cfg` shows two things under one name, or asks for an epoch in a run by iterations.
    """

    def __init__(
        self,
        window_size: int = 10,
        by_epoch: bool = True,
        custom_cfg: Sequence[Mapping[str, Any]] | None = None,
        num_digits: int = 4,
        log_with_hierarchy: bool = False,
        mean_pattern: str = r".*(loss|time|data_time|grad_norm).*",
    ) -> None:
        if not isinstance(window_size, int) or window_size < 1:
            raise ValueError(f"LogProcessor: window_size is a positive number, not {window_size!r}")
        if custom_cfg is not None and not isinstance(custom_cfg, (list, tuple)):
            raise TypeError(f"LogProcessor: custom_cfg is a list of dicts, not {type(custom_cfg).__name__}")
        self.window_size = window_size
        self.by_epoch = by_epoch
        self.custom_cfg = list(custom_cfg or ())
        self.num_digits = num_digits
        self.log_with_hierarchy = log_with_hierarchy
        self.mean_pattern = re.compile(mean_pattern)
        self._rules = [Rule.from_cfg(cfg) for cfg in self.custom_cfg]
        self._told: set[str] = set()
        self._check_rules()

    def _check_rules(self) -> None:
        seen: set[str] = set()
        for rule in self._rules:
            name = rule.log_name or rule.data_src
            if name in seen:
                raise ValueError(f"LogProcessor: custom_cfg shows two things as {name!r}; give one another log_name")
            seen.add(name)
            if rule.window_size == "epoch" and not self.by_epoch:
                raise ValueError(f"LogProcessor: by_epoch is False, so {name!r} has no window_size='epoch'")

    # ------------------------------------------------------------------ the two lines

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict[str, Any], str]:
        """Return the numbers after an iteration and the line that shows them.

        Args:
            batch_idx: Which batch of the epoch was the last.
            mode: 'train', 'val' or 'test'; the last two show only how fast they are.
        """
        values = self._statistics(runner, mode, done=batch_idx + 1, whole_epoch=False)
        tag = self._named(values, mode)
        if mode == "train" and self.by_epoch:
            tag["epoch"] = runner.epoch + 1
        elif mode == "val" and self.by_epoch:
            tag["epoch"] = runner.epoch
        tag["iter"] = runner.iter + (mode == "train")
        rates = [name for name in values if LEARNING_RATE.search(name)]
        parts = [" ".join(f"{name}: {values[name]:.{self.num_digits}e}" for name in rates)] if mode == "train" else []
        eta = runner.message_hub.get_info("eta")
        if "time" in values and eta is not None:
            parts.append(f"eta: {timedelta(seconds=int(eta))}")
        parts += self._entries(values, [name for name in TIMES if name in values])
        memory = peak_memory(getattr(runner, "device", None))
        if memory is not None:
            tag["memory"] = memory
            parts.append(f"memory: {memory}")
        if mode == "train":
            parts += self._entries(values, [name for name in values if name not in (*rates, *TIMES)])
        return tag, f"{self._position(runner, batch_idx, mode)}  {'  '.join(filter(None, parts))}"

    def get_log_after_epoch(
        self, runner: Runner, batch_idx: int, mode: str, with_non_scalar: bool = False
    ) -> tuple[dict[str, Any], str]:
        """Return the metrics after a validation or test and the line that shows them.

        Args:
            batch_idx: How many batches there were.
            mode: 'val' or 'test'.
            with_non_scalar: Return metrics that are not numbers too; the line shows them anyway.

        Raises:
            ValueError: `mode` is 'train', whose lines come after iterations.
        """
        if mode not in ("val", "test"):
            raise ValueError(f"an evaluation is 'val' or 'test', not {mode!r}")
        self._tell_absent(runner)
        numbers = self._statistics(runner, mode, done=batch_idx, whole_epoch=True)
        metrics = {name: value for name, value in numbers.items() if name not in TIMES}
        times = {name: numbers[name] for name in TIMES if name in numbers}
        objects = _of_mode(runner.message_hub.runtime_info, mode)
        tag = self._named({**metrics, **(objects if with_non_scalar else {}), **times}, mode)
        shown = self._named({**metrics, **objects, **times}, mode)
        position = self._position(runner, len(_loader(runner, mode)) - 1, mode)
        return tag, f"{position}    {'  '.join(self._entries(shown, shown))}"

    # ------------------------------------------------------------------ their parts

    def _statistics(self, runner: Runner, mode: str, *, done: int, whole_epoch: bool) -> dict[str, Any]:
        """Return {name: value} of a mode's scalars, smoothed; `done` batches of this epoch are behind us."""
        buffers = _of_mode(runner.message_hub.log_scalars, mode)
        # The values of an earlier evaluation do not belong to this one.
        window = done if whole_epoch else self.window_size if mode == "train" else min(self.window_size, done)
        windows = {"epoch_window": max(done, 1), "default_window": max(window, 1)}
        values = {}
        for name, buffer in buffers.items():
            smooth = name in TIMES if whole_epoch else self.mean_pattern.match(name)
            values[name] = Rule(name, method_name="mean" if smooth else "current").value(buffer, **windows)
        if mode == "train":  # what belongs to no mode is told while training, where somebody asks for it
            of_none = runner.message_hub.log_scalars
            asked = {rule.data_src for rule in self._rules if not rule.data_src.startswith(MODES)}
            buffers = {**{name: of_none[name] for name in asked & of_none.keys()}, **buffers}
        for rule in self._rules:
            source = rule.data_src.removeprefix(f"{mode}/")
            if source in buffers:
                values[rule.log_name or source] = rule.value(buffers[source], **windows)
        return values

    def _tell_absent(self, runner: Runner) -> None:
        """Say once which scalars `custom_cfg` asks for that nobody has logged by the end of an evaluation."""
        known = {key.removeprefix(mode) for key in runner.message_hub.log_scalars for mode in ("", *MODES)}
        absent = {rule.data_src for rule in self._rules} - known - self._told
        self._told |= absent
        for name in sorted(absent):
            message = f"LogProcessor: custom_cfg asks for {name!r}, which nobody logs{did_you_mean(name, known)}"
            print_log(message, "current", level="WARNING")

    def _named(self, values: Mapping[str, Any], mode: str) -> dict[str, Any]:
        return {f"{mode}/{name}": value for name, value in values.items()} if self.log_with_hierarchy else dict(values)

    def _entries(self, values: Mapping[str, Any], names: Iterable[str]) -> list[str]:
        return [f"{name}: {self._text(values[name])}" for name in names]

    def _text(self, value: Any) -> str:
        if not isinstance(value, float):
            return str(value)
        vanishes = value != 0 and abs(value) < 0.5 * 10**-self.num_digits
        return f"{value:.{self.num_digits}{'e' if vanishes else 'f'}}"

    def _position(self, runner: Runner, batch_idx: int, mode: str) -> str:
        """Return how far the run is: `Epoch(train)  [1][ 50/391]` or `Iter(train) [  50/9000]`."""
        if mode == "train" and not self.by_epoch:
            return f"Iter(train) {_of_total(runner.iter + 1, runner.max_iters)}"
        batches = _of_total(batch_idx + 1, _length(_loader(runner, mode)))
        if not self.by_epoch:
            return f"Iter({mode}) {batches}"
        if mode == "test":
            return f"Epoch(test) {batches}"
        epoch = f"[{runner.epoch + (mode == 'train')}]"
        # A validation on its own must not build the training just to know how wide its numbers are.
        total = runner.max_epochs if mode == "train" else runner.message_hub.get_info("max_epochs", "")
        width = len(f"[{total}]")
        return f"Epoch({mode}) {epoch:>{width}}{batches}"


def peak_memory(device: torch.device | None = None) -> int | None:
    """Return the most memory in MB that was in use at once: of the accelerator, or else of this process."""
    on_gpu = torch.cuda.is_available() if device is None else device.type == "cuda"
    if on_gpu:
        return torch.cuda.max_memory_allocated(device) // 2**20
    try:
        import resource
    except ImportError:  # Windows counts elsewhere
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20


def _of_mode(entries: Mapping[str, Any], mode: str) -> dict[str, Any]:
    return {key.removeprefix(f"{mode}/"): value for key, value in entries.items() if key.startswith(f"{mode}/")}


def _loader(runner: Runner, mode: str) -> Any:
    return getattr(runner, f"{mode}_loop").dataloader


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:  # a stream
        return None


def _of_total(done: int, total: int | None) -> str:
    return f"[{done}]" if total is None else f"[{done:>{len(str(total))}}/{total}]"
