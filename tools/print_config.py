#!/usr/bin/env python
"""Show a config with all its bases merged: python tools/print_config.py CONFIG [--sources] [--cfg-options K=V ...]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any

from visuite.engine.config import Config, ConfigError, DictAction

EXIT_CONFIG = 2
WIDTH = 100  # columns up to which sources are aligned


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Show a config with all its bases merged.")
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, default={}, metavar="KEY=VALUE", help="override values"
    )
    parser.add_argument("--sources", action="store_true", help="show for each value which file and line set it")
    parser.add_argument("--trust-config", action="store_true", help="run the config as Python code")
    return parser.parse_args()


def values(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and value of everything in a config that holds no further values."""
    if isinstance(tree, (dict, list, tuple)) and any(isinstance(one, dict) for one in nested(tree)):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in items:
            yield from values(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, tree


def nested(tree: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[Any]:
    """Yield a container, if it is a dict with something in it, and all containers in it."""
    if isinstance(tree, dict) and tree:
        yield tree
    for one in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(one, (dict, list, tuple)):
            yield from nested(one)


def with_sources(cfg: Config) -> str:
    """Return one line a value: its path, what it is, and which file and line set it."""
    here = os.getcwd() + os.sep
    told = {f"{path} = {value!r}": str(cfg.where(path)).removeprefix(here) for path, value in values(cfg.to_dict())}
    width = min(WIDTH, max(map(len, told), default=0))
    return "\n".join(f"{line:<{width}}  # {where}" for line, where in told.items())


def main() -> int:
    """Print the config and return the exit code."""
    args = parse_args()
    try:
        cfg = Config.fromfile(args.config, trusted=args.trust_config)
        cfg.merge_from_dict(args.cfg_options)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG
    print(with_sources(cfg) if args.sources else cfg.pretty_text.rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
