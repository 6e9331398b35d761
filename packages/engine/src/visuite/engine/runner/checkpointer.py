"""Checkpoints of a run: whole, plain and found again.

A checkpoint holds tensors and plain values only, so that it loads with `weights_only=True`; it appears
under its name in one step, when all of it is on the disk.
"""

from __future__ import annotations

import logging
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from visuite.engine.dist import all_gather_object, barrier, get_rank, is_main_process
from visuite.engine.fileio import atomic_write, remove
from visuite.engine.logging import print_log
from visuite.engine.logging.plain import to_plain
from visuite.engine.model import CheckpointError, unwrap_model
from visuite.engine.model.checkpoint_io import find_state_dict, load_state_dict, read_checkpoint
from visuite.engine.model.checkpoint_io import revise_keys as rename_keys
from visuite.engine.model.sharding import loading
from visuite.engine.optim import OptimWrapperDict, each_scheduler
from visuite.engine.runner.environment import generator_states, restore_generators
from visuite.engine.runner.plan import (
    ANEW,
    KEPT,
    POLICY,
    Plan,
    hyper_parameters,
    replay,
    restore_hyper_parameters,
)
from visuite.engine.runner.shards import read_parts, remove_stale, write_parts
from visuite.engine.runner.strategy import parameters_of

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

#: The text file that names the newest checkpoint of a folder.
LAST_CHECKPOINT = "last_checkpoint"


def plain_or_text(value: Any) -> Any:
    """Return a value as plain builtins and tensors, or as text where it has no such form."""
    try:
        return to_plain(value)
    except TypeError:
        return str(value)


class Checkpointer:
    """Write and read a run's state.

    Args:
        runner: Whose state it is.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._read_meta: tuple[str, dict[str, Any]] | None = None
        self._trackers_of: str | None = None

    # ------------------------------------------------------------------ writing

    def save(
        self,
        path: str | Path,
        *,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: Mapping[str, Any] | None = None,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint of this moment; every rank must call it.

        Raises:
            OSError: the file cannot be written; what was there before stays.
        """
        self.runner.strategy.agree(self.runner.model, self.runner.optim_wrapper)
        checkpoint = self._collect(save_optimizer, save_param_scheduler, dict(meta or {}))
        self.runner.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        write_parts(path, checkpoint)
        if is_main_process():
            with atomic_write(path, backend_args=backend_args) as file:
                torch.save(checkpoint, file)
            remove_stale(path, checkpoint)
        barrier()

    def _collect(self, save_optimizer: bool, save_param_scheduler: bool, meta: dict[str, Any]) -> dict[str, Any]:
        runner = self.runner
        checkpoint: dict[str, Any] = {
            "meta": {
                **{key: plain_or_text(value) for key, value in meta.items()},
                **runner.train_loop.position(),
                "cfg": runner.cfg.pretty_text,
                "seed": runner.seed,
                "experiment_name": runner.experiment_name,
                "time": time.strftime("%Y%m%d_%H%M%S"),
                "plan": runner.plan.to_checkpoint(),
                "trackers": {"work_dir": runner.work_dir, "states": runner.visualizer.state_dict() or {}},
                "dataset_meta": plain_or_text(getattr(runner.train_dataloader.dataset, "metainfo", None)),
            },
            "state_dict": runner.strategy.weights(runner.model),
            "message_hub": runner.message_hub.state_dict(),
            "generators": all_gather_object(generator_states()),
        }
        if save_optimizer:
            checkpoint["optimizer"] = runner.strategy.saved(runner.optim_wrapper.state_dict())
            checkpoint["gradients"] = runner.strategy.saved(runner.optim_wrapper.pending_gradients())
        if save_param_scheduler:
            checkpoint["param_schedulers"] = _each_scheduler(runner.param_schedulers)
        return checkpoint

    def remove(self, path: str, backend_args: dict[str, Any] | None = None) -> None:
        """Remove a checkpoint, and the parts of it that lie beside the file.

        Raises:
            FileNotFoundError: it was gone already.
        """
        remove(path, backend_args=backend_args)
        remove_stale(path, {})

    def point_at(self, path: str) -> None:
        """Write down in `work_dir` which checkpoint is the newest, wherever it lies."""
        with atomic_write(Path(self.runner.work_dir, LAST_CHECKPOINT)) as file:
            file.write(str(path).encode())

    # ------------------------------------------------------------------ reading

    def read(self, path: str, keys: Sequence[str]) -> dict[str, Any]:
        """Return these parts of a checkpoint, as far as it has them, with whole tensors; for one rank alone."""
        checkpoint = read_checkpoint(path)
        for key in keys:
            read_parts(path, checkpoint, key)
        return {key: checkpoint[key] for key in keys if key in checkpoint}

    def load(
        self,
        path: str,
        *,
        map_location: Any = "cpu",
        strict: bool = False,
        revise_keys: Sequence[tuple[str, str]] = ((r"^module\.", ""),),
    ) -> dict[str, Any]:
        """Load a checkpoint's weights into the model and return the whole checkpoint.

        Raises:
            CheckpointError: weights of which none fits or, with `strict`, not all; in a short summary.
        """
        checkpoint = read_checkpoint(path, map_location=map_location)
        for section in ("state_dict", "ema_state_dict"):
            read_parts(path, checkpoint, section, self._parameter_of)
        self.runner.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        weights = rename_keys(find_state_dict(checkpoint), revise_keys)
        try:
            with loading(self.runner.model):
                load_state_dict(self.runner.model, weights, strict=strict, logger=self.runner.logger)
        except CheckpointError as error:
            raise CheckpointError(f"{path} does not fit {self.runner.model_name}: {error}") from None
        print_log(f"weights loaded from {path}", self.runner.logger)
        return checkpoint

    def resume(
        self,
        path: str,
        *,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = "cpu",
    ) -> None:
        """Continue from a checkpoint: weights, optimizer, schedulers, position, history and randomness."""
        runner = self.runner
        checkpoint = self.load(path, map_location=map_location, strict=True)
        meta = checkpoint.get("meta", {})
        saved = Plan.from_checkpoint(meta.get("plan"))
        changes = [] if saved is None else self._plan_changes(saved, checkpoint)
        same_optimizer = saved is None or runner.plan.has_optimizer_of(saved)
        if resume_optimizer and same_optimizer and "optimizer" in checkpoint:
            for key in ("optimizer", "gradients"):
                read_parts(path, checkpoint, key, self._stepped_by)
            self._resume_optimizer(checkpoint, saved if changes else None)
        if saved is not None and changes:
            meta = runner.plan.translate(meta, saved)
            replay(runner.param_schedulers, checkpoint.get("param_schedulers"), meta)
            policy = POLICY.format(KEPT if same_optimizer else ANEW)
            runner.logger.warning("\n  ".join(["resuming under a changed plan:", *changes]) + f"\n{policy}")
        elif resume_param_scheduler and checkpoint.get("param_schedulers"):
            _restore_schedulers(runner.param_schedulers, checkpoint["param_schedulers"])
        runner.train_loop.restore(meta)
        self._resume_surroundings(checkpoint)
        print_log(f"resumed from {path}: epoch {runner.epoch}, iteration {runner.iter}", runner.logger)

    def _plan_changes(self, saved: Plan, checkpoint: Mapping[str, Any]) -> list[str]:
        """Say what this run changes in the plan of a checkpoint, its schedules included."""
        changes = self.runner.plan.changes(saved)
        states = each_scheduler(checkpoint.get("param_schedulers") or [])
        for scheduler, state in zip(each_scheduler(self.runner.param_schedulers), states, strict=False):
            name = type(scheduler).__name__
            changes += [f"{k} of {name}: {a} -> {b}" for k, (a, b) in scheduler.plan_changes(state).items()]
        return changes

    def _resume_optimizer(self, checkpoint: Mapping[str, Any], changed_from: Plan | None) -> None:
        """Restore the moments, and what belongs to the very same plan: hyper-parameters, gradients in flight."""
        wrapper, plan = self.runner.optim_wrapper, self.runner.plan
        own, restored = hyper_parameters(wrapper), self.runner.strategy.restored
        wrapper.load_state_dict(restored(checkpoint["optimizer"], wrapper))
        if changed_from is not None:
            restore_hyper_parameters(wrapper, own)
        if changed_from is None or plan.has_batches_of(changed_from):
            wrapper.restore_gradients(restored(checkpoint.get("gradients"), wrapper))

    def _parameter_of(self, keys: tuple[Any, ...]) -> torch.Tensor | None:
        """Return the parameter whose value, or average (`module.*`), a checkpoint has under these keys, if any."""
        owner, _, name = keys[1].removeprefix("module.").rpartition(".")
        try:
            return unwrap_model(self.runner.model).get_submodule(owner)._parameters.get(name)
        except AttributeError:  # of another model; what does not fit is told when all is loaded
            return None

    def _stepped_by(self, keys: tuple[Any, ...]) -> torch.Tensor:
        """Return the parameter to whose optimizer state or gradient these keys lead."""
        wrapper = self.runner.optim_wrapper
        one = wrapper[keys[1]] if isinstance(wrapper, OptimWrapperDict) else wrapper
        return parameters_of(one)[keys[-2] if keys[0] == "optimizer" else keys[-1]]

    def _resume_surroundings(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the history and the generators; those of other ranks than there were begin anew."""
        runner = self.runner
        if "message_hub" in checkpoint:
            runner.message_hub.load_state_dict(checkpoint["message_hub"])
        states = checkpoint.get("generators") or []
        if len(states) == runner.world_size:
            restore_generators(states[get_rank()])

    def seed_of(self, path: str) -> int | None:
        """Return the seed that a checkpoint was trained with, saying so where this run is fixed to another."""
        seed = self._meta_of(path).get("seed")
        if seed is not None and self.runner.seed_was_given and seed != self.runner.seed:
            print_log(
                f"the checkpoint was trained with seed {seed}; this run uses {self.runner.seed} as configured, so the "
                "order and the augmentation of the data are others than those of an uninterrupted run",
                self.runner.logger,
                logging.WARNING,
            )
        return seed

    def resume_trackers(self, path: str) -> None:
        """Let the trackers go on in the runs that a checkpoint of this `work_dir` names, where steps count the same."""
        meta, runner = self._meta_of(path), self.runner
        kept = meta.get("trackers")
        if not kept or self._trackers_of == path:
            return
        self._trackers_of = path
        saved = Plan.from_checkpoint(meta.get("plan"))
        changed = saved is not None and bool(runner.plan.changes(saved))
        if kept["work_dir"] != runner.work_dir:
            print_log(f"trackers begin runs of their own: {path} belongs to {kept['work_dir']}", runner.logger)
        elif saved is not None and changed and runner.plan.translate(meta, saved)["iter"] != meta["iter"]:
            print_log("trackers begin runs of their own: iterations are counted anew", runner.logger)
        else:
            runner.visualizer.resume(kept["states"], meta["iter"])

    def _meta_of(self, path: str) -> dict[str, Any]:
        """Return what a checkpoint says of its run, which is asked for more than once."""
        if self._read_meta is None or self._read_meta[0] != path:
            self._read_meta = path, dict(read_checkpoint(path).get("meta") or {})
        return self._read_meta[1]

    def find_latest(self) -> str | None:
        """Return the newest checkpoint that reads whole, saying which damaged ones were passed over."""
        for path in candidates(Path(self.runner.work_dir)):
            fault = damage(path)
            if fault is None:
                return str(path)
            print_log(
                f"{path} is damaged ({fault}); trying the checkpoint before it", self.runner.logger, logging.WARNING
            )
        return None


def candidates(work_dir: Path) -> list[Path]:
    """Return the checkpoints to resume from, newest first: those beside the last one named, and in `work_dir`."""
    folders = {work_dir}
    pointer = work_dir / LAST_CHECKPOINT
    if pointer.is_file():
        folders.add(Path(pointer.read_text().strip()).parent)
    files = {path.resolve() for folder in folders for path in folder.glob("*.pth") if not path.name.startswith("best_")}
    return sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def damage(path: Path) -> str | None:
    """Say what is wrong with a checkpoint file, or None: its archive is complete and every part has its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        return f"{broken} has a wrong checksum" if broken else None
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return str(error) or type(error).__name__


def _each_scheduler(schedulers: Any) -> Any:
    if isinstance(schedulers, dict):
        return {name: _each_scheduler(some) for name, some in schedulers.items()}
    return [one.state_dict() for one in schedulers]


def _restore_schedulers(schedulers: Any, states: Any) -> None:
    if isinstance(schedulers, dict):
        for name, some in schedulers.items():
            _restore_schedulers(some, states[name])
        return
    if len(schedulers) != len(states):
        raise ValueError(f"the checkpoint has {len(states)} parameter schedulers, this run has {len(schedulers)}")
    for one, state in zip(schedulers, states, strict=True):
        one.load_state_dict(state)
