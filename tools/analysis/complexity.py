#!/usr/bin/env python
"""Count the parameters and FLOPs of a config's model: python tools/analysis/complexity.py CONFIG [--shape 224]."""

from __future__ import annotations

import argparse

import torch

from visuite.engine.analysis import get_model_complexity_info
from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.registry import MODELS, config_path, init_default_scope


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Count the parameters and FLOPs of a config's model.")
    config_arguments(parser)
    parser.add_argument("--shape", type=int, nargs="+", default=[224], help="side, H W, or C H W of an input")
    parser.add_argument("--depth", type=int, default=3, help="how deep the table goes")
    parser.add_argument("--arch", action="store_true", help="also print the model, each part with what it takes")
    args = parser.parse_args()
    if len(args.shape) > 3:
        parser.error(f"--shape takes one to three numbers, not {len(args.shape)}")
    return args


def input_shape(given: list[int]) -> tuple[int, int, int]:
    """Return (C, H, W) for a side, (H, W) or all three."""
    height, width = (given * 2)[:2] if len(given) == 1 else given[-2:]
    return given[0] if len(given) == 3 else 3, height, width


def report(cfg: Config, args: argparse.Namespace) -> None:
    """Build the model and print what it takes."""
    init_default_scope(cfg.get("default_scope") or "engine")
    with config_path("model"):
        model = MODELS.build(cfg.model)
    shape = input_shape(args.shape)
    info = get_model_complexity_info(model, shape, show_arch=args.arch, max_depth=args.depth)
    print(info["out_arch"] + "\n" if args.arch else "", info["out_table"], sep="")
    print(f"\ninput        1 x {' x '.join(map(str, shape))}, torch {torch.__version__}")
    print(f"parameters   {info['params_str']}")
    print(f"FLOPs        {info['flops_str']} (a multiplication with its addition is one)")
    print(f"activations  {info['activations_str']}")
    for name, calls in info["uncounted"].items():
        print(f"not counted  {name}, called {calls} times")


def main() -> None:
    """Count."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        loaded.append(read_config(args))
        report(loaded[0], args)


if __name__ == "__main__":
    main()
