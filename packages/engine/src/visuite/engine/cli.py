"""What the command-line tools share: reading a config, and one-line errors with exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visuite.engine.config import Config, ConfigError, DictAction
from visuite.engine.model.checkpoint_io import CheckpointError
from visuite.engine.registry import ConfigPathError
from visuite.engine.runner.checkpointer import candidates

#: What the process ends with, beside 0 and Python's own 1 for a fault of ours.
EXIT_CONFIG, EXIT_DATA, EXIT_CHECKPOINT = 2, 3, 4


def config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool reading a config has."""
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="where logs, checkpoints and pictures go (default: work_dirs/CONFIG)")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, default={}, metavar="KEY=VALUE",
        help="override values of the config: a.b=1 c=[1,2] d.0.e='(1, 2)'",
    )  # fmt: skip
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--trust-config", action="store_true", help="run the config as Python code")


def read_config(args: argparse.Namespace) -> Config:
    """Load the config of a tool's arguments, with its overrides, work_dir and launcher."""
    cfg = Config.fromfile(args.config, trusted=args.trust_config)
    cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs", Path(args.config).stem))
    return cfg


def what_a_run_left(work_dir: str | Path, log_dir: str | Path) -> str:
    """Tell where a run's log, checkpoints and pictures lie, a line for each kind that there is."""
    kinds = {
        "log": sorted(Path(log_dir).glob("*.log")),
        "checkpoint": sorted(Path(work_dir).glob("best_*.pth")) or candidates(Path(work_dir))[:1],
        "pictures": sorted(Path(log_dir).rglob("*.png")),
    }
    lines = []
    for kind, paths in kinds.items():
        several = f" and {len(paths) - 1} more beside it" if len(paths) > 1 else ""
        lines += [f"{kind + ':':12}{paths[0]}{several}"] if paths else []
    return "\n".join(lines)


@contextmanager
def one_line_errors(cfg: list[Config] | None = None) -> Iterator[None]:
    """Turn what a user can mend into one line on stderr and an exit code; anything else keeps its traceback.

    Args:
        cfg: Holds the config once it is loaded, so that a fault in it can be placed in its file.
    """
    try:
        yield
    except ConfigPathError as error:
        where = cfg[0].where(error.config_path) if cfg and error.config_path else None
        _stop(f"{where}: {error}" if where else str(error), EXIT_CONFIG)
    except ConfigError as error:
        _stop(str(error), EXIT_CONFIG)
    except CheckpointError as error:
        _stop(str(error), EXIT_CHECKPOINT)
    except (FileNotFoundError, NotADirectoryError) as error:
        _stop(str(error), EXIT_DATA)
    except (ValueError, KeyError) as error:
        if getattr(error, "__notes__", None) is None:  # not raised while a part was built: a fault of ours
            raise
        text = error.args[0] if error.args else type(error).__name__
        _stop(f"{text} ({'; '.join(error.__notes__)})", EXIT_CONFIG)


def _stop(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
