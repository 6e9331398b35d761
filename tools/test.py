#!/usr/bin/env python
"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT [--out FILE.pkl] ..."""

from __future__ import annotations

import argparse

from torch.distributed.elastic.multiprocessing.errors import record

from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.evaluator import DumpResults
from visuite.engine.hooks import build_runner_with_tta
from visuite.engine.runner import Runner, leave_process_group


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Evaluate a checkpoint on the test data of a config.")
    config_arguments(parser)
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--out", metavar="FILE.pkl", help="also write the predictions")
    parser.add_argument("--tta", action="store_true", help="merge predictions of several versions of each image")
    parser.add_argument("--show-dir", metavar="DIR", help="also draw predictions, into this folder")
    return parser.parse_args()


@record  # torchrun then shows the traceback of the process that failed first
def main() -> None:
    """Evaluate."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        cfg = read_config(args)
        loaded.append(cfg)
        cfg.load_from, cfg.resume = args.checkpoint, False
        if args.show_dir is not None:
            hook = cfg.setdefault("default_hooks", {}).setdefault("visualization", {"type": "VisualizationHook"})
            hook.update(enable=True, out_dir=args.show_dir)
        test(cfg, tta=args.tta, out=args.out)
        leave_process_group()


def test(cfg: Config, *, tta: bool, out: str | None) -> None:
    """Evaluate as a config describes, and dump the results to `out` where it is given."""
    runner = build_runner_with_tta(cfg) if tta else Runner.from_cfg(cfg)
    if out is not None:
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=out))
    runner.test()


if __name__ == "__main__":
    main()
