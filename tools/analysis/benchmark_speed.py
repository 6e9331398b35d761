#!/usr/bin/env python
"""Measure an iteration of training and of inference: python tools/analysis/benchmark_speed.py CONFIG."""

from __future__ import annotations

import argparse

from visuite.engine.analysis import step_speeds
from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.registry import init_default_scope
from visuite.engine.runner.environment import setup_environment
from visuite.engine.utils.table import text_table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure an iteration of training and of inference of a config.")
    config_arguments(parser)
    parser.add_argument("--iters", type=int, default=30, help="how many iterations are measured")
    parser.add_argument("--warmup", type=int, default=5, help="how many run before")
    parser.add_argument("--device", help="where (default: the accelerator, if there is one)")
    parser.add_argument("--load", action="store_true", help="count the waiting for the data loader in")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        cfg = read_config(args)
        loaded.append(cfg)
        cfg.import_custom_modules()
        init_default_scope(cfg.get("default_scope") or "engine")
        setup_environment(cfg.get("env_cfg") or {}, cfg.launcher)
        rows = [("stage", "ms/iteration", "90 % below", "batch", "images/s", "memory")]
        for one in step_speeds(cfg, iterations=args.iters, warmup=args.warmup, device=args.device, load=args.load):
            times = (f"{one.median:.2f}", f"{one.slowest_tenth:.2f}")
            memory = "" if one.memory is None else f"{one.memory} MB"
            rows.append((one.stage, *times, str(one.images), f"{1000 * one.images / one.median:.1f}", memory))
        print(text_table(rows, right=range(1, 6)))


if __name__ == "__main__":
    main()
