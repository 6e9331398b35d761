#!/usr/bin/env python
"""Train a model from a config: python tools/train.py CONFIG [--work-dir DIR] [--resume [auto|PATH]] ..."""

from __future__ import annotations

import argparse
from typing import Any

from torch.distributed.elastic.multiprocessing.errors import record

from visuite.engine.check import stop_on_errors
from visuite.engine.cli import config_arguments, one_line_errors, read_config, what_a_run_left
from visuite.engine.config import Config
from visuite.engine.dist import is_main_process
from visuite.engine.registry import RUNNERS, BadValueError, UnknownTypeError
from visuite.engine.runner import Runner, dev_run, leave_process_group, overfitting


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a model from a config.")
    config_arguments(parser)
    parser.add_argument(
        "--resume", nargs="?", const="auto", metavar="auto|PATH",
        help="continue from a checkpoint, or from the newest good one in the work_dir",
    )  # fmt: skip
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale the learning rate with the batch size")
    parser.add_argument("--no-validate", action="store_true", help="train without validation")
    parser.add_argument("--seed", type=int, help="the seed of everything random")
    trial = parser.add_mutually_exclusive_group()
    trial.add_argument(
        "--dev-run", type=int, metavar="N", help="run N iterations of every stage and print what they take"
    )
    trial.add_argument("--overfit", type=int, metavar="N", help="train and evaluate on the first N training samples")
    return parser.parse_args()


def apply(args: argparse.Namespace, cfg: Config) -> None:
    """Put the command line's switches into the config."""
    if args.resume is not None:
        cfg.resume, cfg.load_from = True, None if args.resume == "auto" else args.resume
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        cfg.setdefault("auto_scale_lr", {})["enable"] = True
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.seed is not None:
        cfg.randomness = {**cfg.get("randomness", {}), "seed": args.seed}


def use_amp(cfg: Config) -> None:
    """Make the config's plain optimizer wrapper one for mixed precision.

    Raises:
        BadValueError: it is of another kind, or there are several.
    """
    wrapper: dict[str, Any] = cfg.get("optim_wrapper") or {}
    kind = wrapper.get("type", "OptimWrapper")
    name = kind.rpartition(".")[2] if isinstance(kind, str) else getattr(kind, "__name__", repr(kind))
    if "optimizer" not in wrapper or name not in ("OptimWrapper", "AmpOptimWrapper"):
        found = repr(name) if "optimizer" in wrapper else "without an optimizer of its own"
        raise BadValueError(
            f"--amp turns an OptimWrapper into an AmpOptimWrapper, and this one is {found}: "
            "say type='AmpOptimWrapper' where its wrapper is made",
            "optim_wrapper",
        )
    wrapper["type"] = "AmpOptimWrapper"
    wrapper.setdefault("loss_scale", "dynamic")


def runner_class(cfg: Config) -> type[Runner]:
    """Return the class that `runner_type` names."""
    name = cfg.get("runner_type", "Runner")
    found: type[Runner] | None = RUNNERS.get(name)
    if found is None:
        raise UnknownTypeError(RUNNERS.explain_missing(name), "runner_type")
    return found


@record  # torchrun then shows the traceback of the process that failed first
def main() -> None:
    """Read, check and train."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        cfg = read_config(args)
        loaded.append(cfg)
        apply(args, cfg)
        stop_on_errors(cfg)
        if args.dev_run is not None:
            dev_run(cfg, args.dev_run, runner_class(cfg))
        else:
            train(cfg if args.overfit is None else overfitting(cfg, args.overfit))
        leave_process_group()


def train(cfg: Config) -> None:
    """Run the training that a config describes, and tell what it left."""
    runner = runner_class(cfg).from_cfg(cfg)
    runner.train()
    if is_main_process():
        print(what_a_run_left(runner.work_dir, runner.log_dir))


if __name__ == "__main__":
    main()
