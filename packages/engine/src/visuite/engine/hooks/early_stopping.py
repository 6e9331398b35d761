"""Stop when a metric no longer gets better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from visuite.engine.hooks.checkpoint import infer_rule
from visuite.engine.hooks.hook import Hook
from visuite.engine.registry import HOOKS
from visuite.engine.utils.text import did_you_mean

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """Stop training when a metric has not got better for some validations in a row, or is as good as wanted.

    What it remembers is kept in the checkpoints, so that a resumed run stops where the whole one does.

    Args:
        monitor: The metric's name, such as 'coco/bbox_mAP'.
        rule: 'greater' or 'less' is better; by default from the metric's name.
        min_delta: What counts as better than the best so far: by more than this.
        strict: Raise when validation does not give the metric, instead of warning.
        check_finite: Stop when the metric is NaN or infinite.
        patience: How many validations in a row may bring nothing better.
        stopping_threshold: Stop as soon as the metric is at least (at most) this.

    Raises:
        ValueError: no such rule, or none that the name tells, or a patience below 1.
    """

    priority = "LOW"  # before checkpoints: the best one holds what is known of its own validation

    def __init__(
        self,
        monitor: str,
        rule: str | None = None,
        min_delta: float = 0.1,
        strict: bool = False,
        check_finite: bool = True,
        patience: int = 5,
        stopping_threshold: float | None = None,
    ) -> None:
        if rule not in ("greater", "less", None):
            raise ValueError(f"EarlyStoppingHook: rule is 'greater' or 'less', not {rule!r}")
        if patience < 1:
            raise ValueError(f"EarlyStoppingHook: patience is at least 1, not {patience}")
        self.monitor = monitor
        self.sign = 1 if (rule or infer_rule(monitor)) == "greater" else -1
        self.min_delta = abs(min_delta)
        self.strict = strict
        self.check_finite = check_finite
        self.patience = patience
        self.stopping_threshold = stopping_threshold

    def before_train(self, runner: Runner) -> None:
        """Tell of a run in which there is nothing to watch."""
        if runner.val_loop is None:
            runner.logger.warning(f"early stopping watches {self.monitor!r}, and this run has no validation")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Compare this validation with the best before."""
        if runner.spec.train_cfg is None:
            return
        score = self._read(runner, metrics or {})
        reason = None if score is None else self._judge(runner, score)
        if reason is not None:
            runner.train_loop.stop_training = True
            runner.logger.info(f"training stops early: {self.monitor} {reason}")

    def _read(self, runner: Runner, metrics: dict[str, Any]) -> float | None:
        if self.monitor in metrics:
            return float(metrics[self.monitor])
        message = (
            f"early stopping watches {self.monitor!r}, but validation gives {sorted(metrics)}"
            f"{did_you_mean(self.monitor, metrics)}"
        )
        if self.strict:
            raise KeyError(message)
        runner.logger.warning(message)
        return None

    def _judge(self, runner: Runner, score: float) -> str | None:
        """Remember a score; return why to stop, if so."""
        if self.check_finite and not math.isfinite(score):
            return f"is {score}"
        if self.stopping_threshold is not None and self.sign * (score - self.stopping_threshold) >= 0:
            return f"is {score:.4f}, as good as asked for ({self.stopping_threshold:g})"
        key = f"early_stopping/{self.monitor}"
        best, waited = runner.message_hub.get_info(key) or (None, 0)
        better = not math.isnan(score) and (best is None or self.sign * (score - best) > self.min_delta)
        best, waited = (score, 0) if better else (best, waited + 1)
        runner.message_hub.update_info(key, (best, waited))
        if waited < self.patience:
            return None
        return f"has not become better than {best} by more than {self.min_delta:g} in {waited} validations"
