"""Write checkpoints: every so often, the last, and the best."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from visuite.engine.dist import is_main_process
from visuite.engine.fileio import atomic_write, join_path
from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS
from visuite.engine.utils.text import did_you_mean

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

GREATER_KEYS = ("acc", "top", "AR@", "auc", "precision", "mAP", "mDice", "mIoU", "mAcc", "aAcc")
LESS_KEYS = ("loss",)


def is_better(rule: str, score: float, best: float | None) -> bool:
    """Compare two scores; anything is better than none, and NaN than nothing."""
    if math.isnan(score):
        return False
    if best is None or math.isnan(best):
        return True
    return score > best if rule == "greater" else score < best


def infer_rule(key: str, greater_keys: Sequence[str] = GREATER_KEYS, less_keys: Sequence[str] = LESS_KEYS) -> str:
    """Say whether 'greater' or 'less' of a metric is better: by its whole name first, then by its parts.

    Raises:
        ValueError: its name does not tell.
    """
    name = key.lower()
    groups = (("greater", greater_keys), ("less", less_keys))
    for matches in (lambda part: part == name, lambda part: part in name):
        for rule, parts in groups:
            if any(matches(part.lower()) for part in parts):
                return rule
    raise ValueError(f"whether more of {key!r} is better cannot be told from its name; set rule")


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Write checkpoints.

    Args:
        interval: Every so many epochs (iterations); -1 never.
        by_epoch: Count epochs, or iterations.
        save_optimizer, save_param_scheduler: What is needed to resume; the best ones are written likewise.
        out_dir: Where to, by default `work_dir`; else a folder named like `work_dir` in it.
        max_keep_ckpts: Remove all but the newest so many; -1 keeps all.
        save_last: Write the last epoch (iteration) even if none is due.
        save_best: The metric by which the best is kept: its name, 'auto' for the first, or a list.
        rule: 'greater' or 'less' (or a list); by default from the metric's name.
        greater_keys, less_keys: Name parts of metrics that are better when greater or less.
        filename_tmpl: By default 'epoch_{}.pth' or 'iter_{}.pth'.
        file_client_args, backend_args: Storage options of `out_dir`.
        published_keys: When training ends, write copies of the last and the best with these keys only,
            the hash in their names.
        save_begin: The first epoch (iteration) after which any is written.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: str | Path | None = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | Sequence[str] | None = None,
        rule: str | Sequence[str] | None = None,
        greater_keys: Sequence[str] | None = None,
        less_keys: Sequence[str] | None = None,
        file_client_args: dict[str, Any] | None = None,
        filename_tmpl: str | None = None,
        backend_args: dict[str, Any] | None = None,
        published_keys: str | Sequence[str] | None = None,
        save_begin: int = 0,
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.save_param_scheduler = save_param_scheduler
        self.out_dir = None if out_dir is None else str(out_dir)
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.backend_args = backend_args or file_client_args
        self.filename_tmpl = filename_tmpl or ("epoch_{}.pth" if by_epoch else "iter_{}.pth")
        self.published_keys = [published_keys] if isinstance(published_keys, str) else published_keys
        if save_begin < 0:
            raise ValueError(f"CheckpointHook: save_begin is 0 or more, not {save_begin}")
        self.save_begin = save_begin
        self.greater_keys = tuple(greater_keys or GREATER_KEYS)
        self.less_keys = tuple(less_keys or LESS_KEYS)
        self.best_keys = [save_best] if isinstance(save_best, str) else list(save_best or ())
        rules = [rule] * len(self.best_keys) if rule is None or isinstance(rule, str) else list(rule)
        if len(rules) != len(self.best_keys):
            raise ValueError(f"CheckpointHook: {len(rules)} rules for {len(self.best_keys)} metrics in save_best")
        if len(self.best_keys) > 1 and "auto" in self.best_keys:
            raise ValueError("CheckpointHook: save_best='auto' cannot stand in a list of metrics")
        self.rules: dict[str, str | None] = dict(zip(self.best_keys, rules, strict=True))
        for key, one in self.rules.items():
            if one is None and key != "auto":
                self.rules[key] = infer_rule(key, self.greater_keys, self.less_keys)
            if self.rules[key] not in ("greater", "less", None):
                raise ValueError(f"CheckpointHook: rule is 'greater' or 'less', not {one!r}")

    # ------------------------------------------------------------------ points

    def before_train(self, runner: Runner) -> None:
        """Settle where checkpoints go."""
        if self.out_dir is None:
            self.folder = runner.work_dir
        else:
            self.folder = join_path(self.out_dir, Path(runner.work_dir).name)
            runner.logger.info(f"checkpoints go to {self.folder}")

    def after_train_epoch(self, runner: Runner) -> None:
        """Write one if the epoch is due."""
        if not self.by_epoch:
            return
        last = self.save_last and self.is_last_train_epoch(runner)
        if self.every_n_epochs(runner, self.interval, self.save_begin) or last:
            self._save_regular(runner, runner.epoch + 1)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Write one if the iteration is due."""
        if self.by_epoch:
            return
        last = self.save_last and self.is_last_train_iter(runner)
        if self.every_n_train_iters(runner, self.interval, self.save_begin) or last:
            self._save_regular(runner, runner.iter + 1)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write one for each metric that is the best so far."""
        if not self.best_keys or runner.spec.train_cfg is None:
            return
        done = runner.epoch if self.by_epoch else runner.iter
        if done < self.save_begin:
            return
        if not metrics:
            runner.logger.warning("validation gave no metric, so that no checkpoint is the best")
            return
        for key in self.best_keys:
            self._save_best(runner, key, metrics, done)

    def after_train(self, runner: Runner) -> None:
        """Publish what training ended with."""
        if self.published_keys is None or not is_main_process():
            return
        hub = runner.message_hub
        paths = [hub.get_info("last_ckpt"), *(hub.get_info(self._info("best_ckpt", key)) for key in self.best_keys)]
        for path in paths:
            if path is not None:
                self._publish(runner, path)

    # ------------------------------------------------------------------ writing

    def _save_regular(self, runner: Runner, number: int) -> None:
        path = join_path(self.folder, self.filename_tmpl.format(number))
        runner.logger.info(f"saving checkpoint {Path(path).name}")
        hub = runner.message_hub
        before = {key: hub.get_info(key) for key in ("keep_ckpt_ids", "last_ckpt")}
        kept = [one for one in before["keep_ckpt_ids"] or [] if one != number] + [number]
        dropped = kept[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        # The checkpoint itself says what is kept beside it, so that pruning goes on after a resume.
        hub.update_info_dict({"keep_ckpt_ids": kept[len(dropped) :], "last_ckpt": path})
        try:
            self._write(runner, path)
        except BaseException:
            hub.update_info_dict(before)
            raise
        if is_main_process():
            runner.checkpointer.point_at(path)
            for old in dropped:
                self._remove(runner, join_path(self.folder, self.filename_tmpl.format(old)))

    def _save_best(self, runner: Runner, key: str, metrics: Mapping[str, float], done: int) -> None:
        name, score = self._choose_metric(key, metrics)
        rule = self.rules[key] or infer_rule(name, self.greater_keys, self.less_keys)
        hub = runner.message_hub
        score_key, path_key = self._info("best_score", key), self._info("best_ckpt", key)
        if not is_better(rule, score, hub.get_info(score_key)):
            return
        old = hub.get_info(path_key)
        unit = "epoch" if self.by_epoch else "iter"
        path = join_path(self.folder, f"best_{name.replace('/', '_')}_{unit}_{done}.pth")
        hub.update_info_dict({score_key: score, path_key: path})
        self._write(runner, path)
        runner.logger.info(f"best {name} so far: {score:.4f}, saved as {Path(path).name}")
        if old is not None and old != path and is_main_process():
            self._remove(runner, old)

    def _choose_metric(self, key: str, metrics: Mapping[str, float]) -> tuple[str, float]:
        name = next(iter(metrics)) if key == "auto" else key
        if name not in metrics:
            raise KeyError(f"save_best={key!r}, but validation gives {sorted(metrics)}{did_you_mean(key, metrics)}")
        return name, float(metrics[name])

    def _info(self, what: str, key: str) -> str:
        """Where the hub keeps a best score or file: the documented bare name when there is but one metric."""
        return what if len(self.best_keys) == 1 else f"{what}_{key}"

    def _write(self, runner: Runner, path: str) -> None:
        folder, _, name = path.rpartition("/")
        runner.save_checkpoint(
            folder,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
        )

    def _remove(self, runner: Runner, path: str) -> None:
        try:
            runner.checkpointer.remove(path, self.backend_args)
        except FileNotFoundError:
            runner.logger.debug(f"{path} was gone already")

    def _publish(self, runner: Runner, path: str) -> None:
        kept = runner.checkpointer.read(path, self.published_keys or ())
        missing = [key for key in self.published_keys or () if key not in kept]
        if missing:
            runner.logger.warning(f"{path} has no {missing}; published without")
        content = io.BytesIO()
        torch.save(kept, content)
        digest = hashlib.sha256(content.getbuffer()).hexdigest()[:8]
        published = f"{path.removesuffix('.pth')}-{digest}.pth"
        with atomic_write(published, backend_args=self.backend_args) as file:
            file.write(content.getbuffer())
        runner.logger.info(f"published as {published}")
