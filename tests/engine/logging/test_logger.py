from __future__ import annotations

import itertools
import logging
import pickle
import re
from pathlib import Path
from unittest import mock

import pytest

from visuite.engine.logging import MMLogger, print_log

_numbers = itertools.count()


def new_logger(**kwargs: object) -> MMLogger:
    return MMLogger.get_instance(f"logger {next(_numbers)}", **kwargs)


def test_lines_on_the_console_and_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger = new_logger(logger_name="mine", log_file=str(tmp_path / "deep" / "run.log"))
    logger.info("grüße")
    logger.debug("unheard")
    printed = capsys.readouterr().out
    assert re.fullmatch(r"\d\d/\d\d \d\d:\d\d:\d\d - mine - INFO - grüße\n", printed)
    kept = Path(logger.log_file or "").read_text(encoding="utf-8")
    assert re.fullmatch(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d - mine - INFO - grüße\n", kept)


def test_file_modes(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    for mode, lines in (("w", 1), ("a", 2), ("w", 1)):
        logger = new_logger(log_file=path, file_mode=mode)
        logger.info("line")
        logger.close()
        assert len(path.read_text().splitlines()) == lines


def test_levels_change_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    logger = new_logger(log_level="WARNING")
    logger.info("one")
    logger.setLevel("debug")
    logger.info("two")
    logger.setLevel(logging.ERROR)
    logger.info("three")
    assert capsys.readouterr().out.count(" - ") == 3
    with pytest.raises(ValueError, match="did you mean 'WARNING'"):
        logger.setLevel("WARNNG")


def test_other_ranks_keep_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch("visuite.engine.logging.logger.get_rank", return_value=1):
        logger = new_logger(log_file=tmp_path / "run.log")
        logger.info("from rank 1")
        logger.error("broken on rank 1")
        own = new_logger(log_file=tmp_path / "run.log", distributed=True)
        own.info("kept by rank 1")
    assert logger.log_file is None
    assert not (tmp_path / "run.log").exists()
    printed = capsys.readouterr().out
    assert "broken on rank 1" in printed
    assert "from rank 1" not in printed
    assert re.fullmatch(r"run_.+_device\w+_rank1\.log", Path(own.log_file or "").name)
    assert "kept by rank 1" in Path(own.log_file or "").read_text()


def test_another_file_handler(tmp_path: Path) -> None:
    cfg = {"type": "RotatingFileHandler", "maxBytes": 100, "backupCount": 1}
    logger = new_logger(log_file=tmp_path / "run.log", file_handler_cfg=cfg)
    for _ in range(4):
        logger.info("a line of some length, that fills the file")
    assert (tmp_path / "run.log.1").exists()
    with pytest.raises(ValueError, match="did you mean 'RotatingFileHandler'"):
        new_logger(log_file=tmp_path / "x.log", file_handler_cfg={"type": "RotatingFileHandlr"})


def test_print_log(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = new_logger(logger_name="first"), new_logger(logger_name="second")
    print_log("plain")
    print_log("nobody", "silent")
    print_log("to the current", "current")
    print_log("by name", first.instance_name, level="WARNING")
    print_log("to a logger", second, logging.ERROR)
    lines = [line.partition(" - ")[2] or line for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "plain",
        "second - INFO - to the current",
        "first - WARNING - by name",
        "second - ERROR - to a logger",
    ]
    with pytest.raises(ValueError, match=r"there is no MMLogger 'curent'.*'current'"):
        print_log("x", "curent")
    with pytest.raises(TypeError, match="not int"):
        print_log("x", 3)


def test_a_pickled_logger_finds_itself(tmp_path: Path) -> None:
    logger = new_logger(log_file=tmp_path / "run.log")
    assert pickle.loads(pickle.dumps(logger)) is logger
    content = pickle.dumps(logger)
    with mock.patch.dict(MMLogger._instances, clear=True):  # another process
        copy = pickle.loads(content)
        assert copy.log_file is None
        assert not MMLogger.check_instance_created(logger.instance_name)
