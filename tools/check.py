#!/usr/bin/env python
"""Check a config before it is run: python tools/check.py CONFIG [--data auto|required|skip] [--strict]."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from visuite.engine.check import check_run
from visuite.engine.cli import EXIT_CONFIG, config_arguments, one_line_errors, read_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Check a config: its types, arguments, model, data and one batch.")
    config_arguments(parser)
    parser.add_argument(
        "--data", choices=["auto", "required", "skip"], default="auto",
        help="use the data that is there (auto), call absent data an error (required), or do not look (skip)",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="end with an error for warnings too")
    return parser.parse_args()


def main() -> int:
    """Check, tell what was found, and return the exit code."""
    args = parse_args()
    with one_line_errors():
        found = check_run(read_config(args), data=args.data)
    for one in found:
        print(f"{one.severity}: {one}")
    counts = Counter(one.severity for one in found)
    told = ", ".join(f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items()) or "nothing to tell"
    print(f"{args.config}: {told}")
    failed = counts["error"] or (args.strict and counts["warning"])
    return EXIT_CONFIG if failed else 0


if __name__ == "__main__":
    sys.exit(main())
