#!/usr/bin/env python
"""Count the parameters and FLOPs of a config's model: python tools/analysis/complexity.py CONFIG [--shape 224]."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

from visuite.engine.analysis import get_model_complexity_info
from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.infer import InferencePipeline
from visuite.engine.infer.zoo import tested_dataset
from visuite.engine.model import BaseModel
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


def example(cfg: Config, model: torch.nn.Module, shape: tuple[int, int, int]) -> tuple[Any, ...]:
    """Return an image (1, C, H, W), and the sample that the test pipeline makes of one.

    A detector of two stages asks it for the size of its image; without it the second stage would not run.
    """
    place = next((one.device for one in model.parameters()), torch.device("cpu"))
    image = torch.rand(1, *shape, device=place)
    pipeline = tested_dataset(cfg).get("pipeline")
    if not isinstance(model, BaseModel) or not pipeline:
        return (image,)
    channels, *size = shape
    sample = InferencePipeline(pipeline)(np.zeros((*size, channels), np.uint8)).get("data_samples")
    if sample is None:
        return (image,)
    same = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), tuple(size))
    sample.set_metainfo({**same, "scale_factor": (1.0, 1.0)})  # whatever size the pipeline would have made it
    return image, [sample]


def report(cfg: Config, args: argparse.Namespace) -> None:
    """Build the model and print what it takes."""
    init_default_scope(cfg.get("default_scope") or "engine")
    with config_path("model"):
        model = MODELS.build(cfg.model)
    shape = input_shape(args.shape)
    with config_path("test_dataloader.dataset.pipeline"):
        inputs = example(cfg, model, shape)
    info = get_model_complexity_info(model, inputs=inputs, show_arch=args.arch, max_depth=args.depth)
    print(info["out_arch"] + "\n" if args.arch else "", info["out_table"], sep="")
    print(f"\ninput        1 x {' x '.join(map(str, shape))}, torch {torch.__version__}")
    print(f"parameters   {info['params_str']}")
    print(f"FLOPs        {info['flops_str']} (a multiplication with its addition is one)")
    print(f"activations  {info['activations_str']}")
    for name, calls in info["uncounted"].items():
        print(f"not counted  {name}, called {calls} times")
    if info["idle"]:
        print(f"not called   {', '.join(info['idle'])}")


def main() -> None:
    """Count."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        loaded.append(read_config(args))
        report(loaded[0], args)


if __name__ == "__main__":
    main()
