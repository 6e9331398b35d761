#!/usr/bin/env python
"""See what a model will see: python tools/browse_dataset.py CONFIG [--output-dir DIR] [--number 16] [--mode train]"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.dataset import channel_order
from visuite.engine.dataset.seeding import SampleKey
from visuite.engine.hooks.visualization import save_png, to_rgb
from visuite.engine.registry import DATASETS, VISUALIZERS, init_default_scope
from visuite.engine.visualization import image_grid


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Draw samples of a config's data behind its transforms.")
    config_arguments(parser)
    parser.add_argument("--output-dir", metavar="DIR", help="where pictures go (default: WORK_DIR/browse)")
    parser.add_argument("--mode", choices=["train", "val", "test"], default="train", help="which of the data sets")
    parser.add_argument("--number", type=int, default=16, help="how many samples, spread over the data set")
    parser.add_argument("--epoch", type=int, default=0, help="draw chance as this epoch of a training does")
    parser.add_argument("--seed", type=int, default=0, help="and as with this seed")
    parser.add_argument("--grid", action="store_true", help="one picture of all samples, instead of one of each")
    return parser.parse_args()


def picture(visualizer: Any, sample: dict[str, Any], order: str) -> np.ndarray:
    """Return what a packed sample, channels in `order`, looks like in the size the model gets, with its truth."""
    known = sample["data_samples"]
    known.set_metainfo({"scale_factor": (1.0, 1.0), "ori_shape": sample["inputs"].shape[-2:]})
    visualizer.add_datasample("sample", to_rgb(sample["inputs"], order), data_sample=known, draw_pred=False, save=False)
    return visualizer.get_image()


def main() -> None:
    """Draw."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        cfg = read_config(args)
        loaded.append(cfg)
        cfg.import_custom_modules()
        init_default_scope(cfg.get("default_scope", "engine"))
        dataset = DATASETS.build(cfg[f"{args.mode}_dataloader"]["dataset"])
        visualizer = VISUALIZERS.build({**cfg.get("visualizer", {"type": "Visualizer"}), "vis_backends": None})
        visualizer.dataset_meta = dataset.metainfo
    folder = Path(args.output_dir or Path(cfg.work_dir, "browse"))
    folder.mkdir(parents=True, exist_ok=True)
    chosen = np.linspace(0, len(dataset) - 1, min(args.number, len(dataset))).astype(int)
    keys = [SampleKey(int(one), seed=args.seed, epoch=args.epoch) for one in chosen]
    pictures = [picture(visualizer, dataset[key], channel_order(dataset)) for key in keys]
    if args.grid:
        save_png(image_grid(pictures), folder / f"{args.mode}.png")
    for index, one in zip(chosen, [] if args.grid else pictures, strict=False):
        save_png(one, folder / f"{args.mode}_{index}.png")
    print(f"{len(pictures)} samples drawn in {folder}")


if __name__ == "__main__":
    main()
