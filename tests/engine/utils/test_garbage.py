from __future__ import annotations

import gc

import pytest

from visuite.engine.utils.garbage import collector_paused


def test_the_collector_rests_and_goes_on():
    with pytest.raises(KeyError), collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
