#!/usr/bin/env python
"""Find the anchors that suit a config's training data: python tools/analysis/optimize_anchors.py CONFIG [--algorithm A]

What is printed can be put into the config as `model.bbox_head.prior_generator.base_sizes`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.hooks.pipeline_switch import everywhere, wrapped
from visuite.engine.registry import DATASETS, config_path, init_default_scope
from visuite.engine.utils.table import text_table
from visuite.yolo.boxes.anchors import ALGORITHMS, Array, anchor_quality, anchors_by_level, object_sizes

Levels = list[list[tuple[int, int]]]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Find the anchors that suit a config's training data.")
    config_arguments(parser)
    parser.add_argument("--algorithm", choices=list(ALGORITHMS), default="k-means", help="how (default: k-means)")
    parser.add_argument(
        "--input-shape",
        type=int,
        nargs=2,
        metavar=("W", "H"),
        help="size of the input (img_scale of the config, or 640)",
    )
    parser.add_argument("--levels", type=int, help="how many levels (those of the config's anchors, or 3)")
    parser.add_argument("--anchors-per-level", type=int, help="how many each has (as in the config, or 3)")
    parser.add_argument(
        "--prior-match-thr", type=float, default=4.0, help="largest factor between edges that match (4)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (0)")
    parser.add_argument("--out", metavar="FILE", help="write the anchors into a JSON file")
    return parser.parse_args()


def present_anchors(cfg: Config) -> Levels | None:
    """Return the anchors that the config's head has, or None."""
    generator = cfg.get("model", {}).get("bbox_head", {}).get("prior_generator", {})
    given = generator.get("base_sizes") if isinstance(generator, dict) else None
    return None if given is None else [[(int(w), int(h)) for w, h in level] for level in given]


def training_data(cfg: Config) -> list[Any]:
    """Build the data sets of images that the config trains on, without what wraps them."""
    with config_path("train_dataloader.dataset"):
        whole = DATASETS.build(cfg.train_dataloader.dataset)
    return [one for one in everywhere(whole) if not wrapped(one)]


def told(name: str, sizes: Array, levels: Levels, match_thr: float) -> tuple[str, str, str, str]:
    """Return the row of some anchors in the table."""
    quality = anchor_quality(sizes, np.array([one for level in levels for one in level], float), match_thr)
    return name, f"{quality.mean_iou:.4f}", f"{quality.recall:.4f}", f"{quality.matches:.2f}"


def main() -> None:
    """Search and print."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        cfg = read_config(args)
        loaded.append(cfg)
        cfg.import_custom_modules()
        init_default_scope(cfg.get("default_scope") or "yolo")
        present = present_anchors(cfg)
        shape = tuple(args.input_shape or cfg.get("img_scale") or (640, 640))
        sizes = object_sizes(training_data(cfg), (shape[0], shape[1]))
    count = args.levels or len(present or "P3P")
    each = args.anchors_per_level or (len(present[0]) if present else 3)
    rng = np.random.default_rng(args.seed)
    best = ALGORITHMS[args.algorithm](sizes, count * each, rng=rng, match_thr=args.prior_match_thr)
    levels = anchors_by_level(best, count)
    rows = [("anchors", "mean IoU", "recall", "matches")]
    rows += [told("of the config", sizes, present, args.prior_match_thr)] if present else []
    rows += [told(args.algorithm, sizes, levels, args.prior_match_thr)]
    print(f"{len(sizes)} objects in images of {shape[0]}x{shape[1]}\n\n{text_table(rows, right=range(1, 4))}\n")
    print("\n".join(["anchors = [", *(f"    {level}," for level in levels), "]"]))
    if args.out:
        Path(args.out).write_text(json.dumps(levels))


if __name__ == "__main__":
    main()
