import pytest

from visuite.engine.utils import Timer, TimerError, check_time


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def test_seconds_since_start_and_last_look(clock):
    timer = Timer()
    clock[0] += 2
    assert timer.since_start() == 2
    clock[0] += 3
    assert timer.since_last_check() == 3
    clock[0] += 1
    assert timer.since_last_check() == 1
    assert timer.since_start() == 6
    timer.start()
    assert timer.since_start() == 6


def test_a_timer_that_does_not_run():
    timer = Timer(start=False)
    assert not timer.is_running
    for read in (timer.since_start, timer.since_last_check):
        with pytest.raises(TimerError, match="not been started"):
            read()
    timer.start()
    assert timer.is_running


def test_a_block_prints_its_seconds(clock, capsys):
    with Timer(print_tmpl="took {:.1f} s"):
        clock[0] += 1.5
    assert capsys.readouterr().out == "took 1.5 s\n"


def test_named_times(clock):
    assert check_time("test_named_times") == 0
    clock[0] += 4
    assert check_time("test_named_times") == 4
