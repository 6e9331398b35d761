from __future__ import annotations

import gc

import pytest

from visuite.engine.utils.garbage import collector_paused


def fail_while_paused():
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
        raise KeyError


def test_the_collector_rests_and_goes_on():
    with pytest.raises(KeyError):
        fail_while_paused()
    assert gc.isenabled()
