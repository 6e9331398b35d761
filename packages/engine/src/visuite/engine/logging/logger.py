"""Log lines on the console and in files, from the ranks that should speak."""

from __future__ import annotations

import logging
import logging.handlers
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TextIO

import torch

from visuite.engine.dist import get_rank
from visuite.engine.utils.manager import ManagerMixin
from visuite.engine.utils.text import did_you_mean

DEFAULT_NAME = "visuite"
_LINE = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"


class _Formatter(logging.Formatter):
    """`date - name - LEVEL - message`, the level coloured on a terminal."""

    COLORS: ClassVar[dict[int, str]] = {logging.DEBUG: "36", logging.WARNING: "33", logging.ERROR: "31"}

    def __init__(self, *, date: str, color: bool = False) -> None:
        super().__init__(_LINE, datefmt=date)
        self.color = color

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        code = self.COLORS.get(min(record.levelno, logging.ERROR)) if self.color else None
        return line.replace(record.levelname, f"\x1b[{code}m{record.levelname}\x1b[0m", 1) if code else line


class _ConsoleHandler(logging.StreamHandler[TextIO]):
    """Write to whatever `sys.stdout` is at the moment, so that progress bars and captures see the lines too."""

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Ignore what the base class sets."""


def _may_print(record: logging.LogRecord) -> bool:
    """Let rank 0 say everything, and the others only what went wrong."""
    return record.levelno >= logging.ERROR or get_rank() == 0


class MMLogger(ManagerMixin, logging.Logger):
    """A logger that runs find by name and that keeps quiet on all ranks but the first.

    Args:
        name: The name under which `get_instance` finds it.
        logger_name: The name in its lines.
        log_file: Where lines are kept besides.
        log_level: The least level that is logged.
        file_mode: 'w' begins the file anew, 'a' appends.
        distributed: Give every rank a file of its own, named after host, device and rank; else rank 0 alone writes one.
        file_handler_cfg: Another handler for the file: `type` names a class of `logging` or `logging.handlers`
            (`'TimedRotatingFileHandler'`), the rest are its arguments.
    """

    def __init__(
        self,
        name: str,
        logger_name: str = DEFAULT_NAME,
        log_file: str | os.PathLike[str] | None = None,
        log_level: int | str = "INFO",
        file_mode: str = "w",
        distributed: bool = False,
        file_handler_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        logging.Logger.__init__(self, logger_name)
        ManagerMixin.__init__(self, name)
        self.setLevel(log_level)
        self._log_file: Path | None = None
        self._add_console()
        if log_file is not None and (distributed or get_rank() == 0):
            self._log_file = _rank_file(Path(log_file)) if distributed else Path(log_file)
            self._add_file(self._log_file, file_mode, dict(file_handler_cfg or {}))

    @property
    def log_file(self) -> str | None:
        """Where this rank's lines are kept."""
        return None if self._log_file is None else str(self._log_file)

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the current logger; make one called 'visuite' when there is none."""
        return super().get_current_instance() if cls._active or cls._current else cls.get_instance(DEFAULT_NAME)

    def setLevel(self, level: int | str) -> None:
        """Set the least level that is logged.

        Raises:
            ValueError: no such level; says the nearest.
        """
        known = logging.getLevelNamesMapping()
        if isinstance(level, str) and level.upper() not in known:
            raise ValueError(f"there is no log level {level!r}{did_you_mean(level, known)}")
        super().setLevel(level.upper() if isinstance(level, str) else level)
        # The base class forgets cached answers of loggers in its own tree alone, which ours are not in.
        self._cache.clear()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the file; later lines still go to the console."""
        for handler in [one for one in self.handlers if not isinstance(one, _ConsoleHandler)]:
            self.removeHandler(handler)
            handler.close()

    def __reduce__(self) -> tuple[Any, ...]:
        # A data set that holds a logger goes to worker processes: the file stays with the main process.
        return _find_or_make, (type(self), self.instance_name, self.name, self.level)

    def _add_console(self) -> None:
        console = _ConsoleHandler()
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        console.setFormatter(_Formatter(date="%m/%d %H:%M:%S", color=color))
        console.addFilter(_may_print)
        self.addHandler(console)

    def _add_file(self, path: Path, mode: str, cfg: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = cfg.pop("type", "FileHandler")
        if kind == "FileHandler":
            cfg = {"mode": mode, "encoding": "utf-8", **cfg}
        handler = _handler_class(kind)(**{"filename": path, **cfg})
        handler.setFormatter(_Formatter(date="%Y/%m/%d %H:%M:%S"))
        self.addHandler(handler)


def _handler_class(kind: str) -> Any:
    found = getattr(logging, kind, None) or getattr(logging.handlers, kind, None)
    if not (isinstance(found, type) and issubclass(found, logging.Handler)):
        raise ValueError(
            f"file_handler_cfg: no handler {kind!r}{did_you_mean(kind, (*dir(logging), *dir(logging.handlers)))}"
        )
    return found


def _rank_file(path: Path) -> Path:
    """Return the file of this rank: `run.log` -> `run_host_device0_rank0.log`."""
    device = torch.cuda.current_device() if torch.cuda.is_available() else os.environ.get("LOCAL_RANK", "0")
    return path.with_name(f"{path.stem}_{socket.gethostname()}_device{device}_rank{get_rank()}{path.suffix}")


def _find_or_make(cls: type[MMLogger], name: str, logger_name: str, level: int) -> MMLogger:
    """Find a logger in the process that unpickles it, or make one without a file and without making it current."""
    if cls.check_instance_created(name):
        return cls.get_instance(name)
    return cls(name=name, logger_name=logger_name, log_level=level)


def print_log(msg: object, logger: logging.Logger | str | None = None, level: int | str = logging.INFO) -> None:
    """Print or log a message.

    Args:
        msg: The message.
        logger: A logger; the name of an `MMLogger`; 'current' for the current one; 'silent' for nobody;
            None for a plain `print`.
        level: The level of the line.

    Raises:
        ValueError: no logger has this name.
        TypeError: `logger` is nothing of the kind.
    """
    if logger is None:
        print(msg)
        return
    if logger == "silent":
        return
    if isinstance(logger, str):
        logger = MMLogger.get_current_instance() if logger == "current" else _named_logger(logger)
    if not isinstance(logger, logging.Logger):
        raise TypeError(f"logger is a logging.Logger, a name, 'current', 'silent' or None, not {type(logger).__name__}")
    logger.log(logging.getLevelNamesMapping()[level.upper()] if isinstance(level, str) else level, msg)


def _named_logger(name: str) -> MMLogger:
    if not MMLogger.check_instance_created(name):
        known = (*MMLogger._instances, "current", "silent")
        raise ValueError(f"there is no MMLogger {name!r}{did_you_mean(name, known)}")
    return MMLogger.get_instance(name)
