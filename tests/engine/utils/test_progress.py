import io
import operator

import pytest

from visuite.engine.utils import (
    ProgressBar,
    track_iter_progress,
    track_parallel_progress,
    track_progress,
    track_progress_rich,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_at_every_tenth():
    out = io.StringIO()
    assert list(track_iter_progress(range(100), file=out)) == list(range(100))
    lines = out.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"{done}/100" for done in range(10, 101, 10)]


def test_steps_of_unknown_number():
    out = io.StringIO()
    bar = ProgressBar(file=out)
    bar.update(250)
    assert bar.completed == 250
    assert out.getvalue().startswith("250, ")
    with pytest.raises(ValueError, match="at least one"):
        bar.update(0)


def test_a_terminal_gets_a_bar_that_ends():
    out = Terminal()
    assert track_progress(operator.neg, [1, 2, 3], file=out) == [-1, -2, -3]
    assert "3/3" in out.getvalue()


def test_the_bar_is_closed_when_the_loop_fails():
    out = Terminal()
    with pytest.raises(ZeroDivisionError):
        track_progress(lambda value: 1 // value, [1, 0], file=out)
    assert out.getvalue().endswith("\x1b[?25h"), "the cursor is shown again"


def test_processes_keep_the_order():
    out = io.StringIO()
    assert track_parallel_progress(operator.neg, list(range(20)), 2, chunksize=3, file=out) == [-n for n in range(20)]
    assert "20/20" in out.getvalue()


@pytest.mark.parametrize("nproc", [1, 2])
def test_arguments_are_given_by_their_kind(nproc):
    assert track_progress_rich(divmod, [(7, 2), (9, 5)], nproc=nproc) == [(3, 1), (1, 4)]
    assert track_progress_rich(dict, [dict(a=1)], nproc=nproc) == [{"a": 1}]
    assert track_progress_rich(abs, [-1], nproc=nproc) == [1]
    assert track_progress_rich(list, task_num=2, nproc=nproc) == [[], []]
