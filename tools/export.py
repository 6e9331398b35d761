#!/usr/bin/env python
"""Write a detector as an ONNX file, suppression inside: python tools/export.py CONFIG CHECKPOINT --out FILE.onnx ..."""

from __future__ import annotations

import argparse

import torch

from visuite.det.export import export_onnx
from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.infer import BaseInferencer


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write a detector as an ONNX file, and compare the two.")
    config_arguments(parser)
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--out", default="model.onnx", metavar="FILE.onnx")
    parser.add_argument("--size", type=int, nargs="+", default=[640], help="edge of the images, or height and width")
    parser.add_argument("--batch", type=int, default=1, help="images at once")
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=1000, help="scores of an image that compete")
    return parser.parse_args()


def main() -> None:
    """Export, compare, tell."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        cfg = read_config(args)
        loaded.append(cfg)
        model = BaseInferencer(cfg, weights=args.checkpoint, device="cpu").model
        height, width = args.size * 2 if len(args.size) == 1 else args.size
        random = torch.Generator().manual_seed(0)
        images = torch.rand(args.batch, args.channels, height, width, generator=random) * 255
        told = export_onnx(model, args.out, images, candidates=args.candidates)
        print(
            f"{args.out}: {told['objects']:.0f} objects in noise, as in eager mode; boxes differ by at most "
            f"{told['bboxes']:.1e} pixels, scores by {told['scores']:.1e}"
        )


if __name__ == "__main__":
    main()
