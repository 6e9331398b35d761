#!/usr/bin/env python
"""Measure the data loader for several numbers of workers: python tools/analysis/benchmark_loader.py CONFIG."""

from __future__ import annotations

import argparse
import os

from visuite.engine.analysis import loader_speeds
from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.registry import config_path, init_default_scope
from visuite.engine.utils import set_multi_processing
from visuite.engine.utils.table import text_table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure a config's data loader for several numbers of workers.")
    config_arguments(parser)
    parser.add_argument("--split", choices=["train", "val", "test"], default="train", help="which of the loaders")
    parser.add_argument("--workers", type=int, nargs="+", help="how many (default: 0, 1, 2, 4, ... up to the cores)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is measured")
    parser.add_argument("--batches", type=int, default=200, help="how many batches each reads at most")
    return parser.parse_args()


def default_workers() -> list[int]:
    """Return 0 and the powers of two up to the number of cores."""
    cores = os.cpu_count() or 1
    return [0, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)]


def main() -> None:
    """Measure and print."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        cfg = read_config(args)
        loaded.append(cfg)
        cfg.import_custom_modules()
        init_default_scope(cfg.get("default_scope") or "engine")
        set_multi_processing(**cfg.get("env_cfg", {}).get("mp_cfg", {}))
        name = f"{args.split}_dataloader"
        if cfg.get(name) is None:
            raise SystemExit(f"error: the config has no {name}")
        rows = [("workers", "images/s", "first batch", "images")]
        with config_path(name):
            for one in loader_speeds(
                cfg[name], args.workers or default_workers(), seconds=args.seconds, batches=args.batches
            ):
                told = (f"{one.images_per_second:.1f}", f"{one.first_batch:.2f} s", str(one.images))
                rows.append((str(one.workers), *told))
        print(text_table(rows, right=range(4)))


if __name__ == "__main__":
    main()
