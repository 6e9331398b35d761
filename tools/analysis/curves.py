#!/usr/bin/env python
"""Draw the curves of runs: python tools/analysis/curves.py LOG [LOG ...] [--keys loss] [--out curves.png].

A LOG is a `scalars.json`, or the folder of a run; those of its resumptions below it are joined.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from visuite.engine.analysis import chart_sheet, read_curves
from visuite.engine.analysis.logs import Curve, choose, summary
from visuite.engine.cli import EXIT_DATA, one_line_errors
from visuite.engine.utils.table import text_table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Draw the curves of runs.")
    parser.add_argument("logs", nargs="+", metavar="LOG", help="scalars.json, or the folder of a run")
    parser.add_argument("--keys", nargs="+", metavar="NAME", help="what to draw (default: all)")
    parser.add_argument("--legend", nargs="+", metavar="NAME", help="what the runs are called (default: their folders)")
    parser.add_argument("--out", default="curves.png", help="the picture (default: curves.png)")
    parser.add_argument("--smooth", type=float, default=0.0, metavar="WEIGHT", help="exponential mean, 0 to below 1")
    parser.add_argument("--log", nargs="+", default=[], metavar="NAME", help="draw these on a logarithmic axis")
    parser.add_argument("--columns", type=int, default=2, help="charts in a row")
    args = parser.parse_args()
    if args.legend is not None and len(args.legend) != len(args.logs):
        parser.error(f"{len(args.legend)} names in --legend for {len(args.logs)} logs")
    if not 0 <= args.smooth < 1:
        parser.error("--smooth is at least 0 and below 1")
    return args


def run_names(logs: list[str]) -> list[str]:
    """Return short names that tell the logs apart: the folders in which they begin to differ."""
    parts = [[part for part in Path(log).parts if part not in ("vis_data", "scalars.json")] for log in logs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return logs


def main() -> None:
    """Draw, and print a table of each run."""
    args = parse_args()
    runs: dict[str, dict[str, Curve]] = {}
    with one_line_errors():
        for name, log in zip(args.legend or run_names(args.logs), args.logs, strict=True):
            try:
                curves = read_curves(log)
                runs[name] = choose(curves, args.keys) if args.keys else curves
            except (ValueError, KeyError) as error:
                print(f"error: {error.args[0]}", file=sys.stderr)
                raise SystemExit(EXIT_DATA) from None
            print(f"{name}\n{text_table(summary(runs[name]), right=range(1, 5))}\n")
        Image.fromarray(chart_sheet(runs, smooth=args.smooth, columns=args.columns, log=args.log)).save(args.out)
    print(f"drawn in {args.out}")


if __name__ == "__main__":
    main()
