"""Named instances, and the current one."""

from __future__ import annotations

import pytest

from visuite.engine.utils.manager import ManagerMixin


@pytest.fixture
def kind() -> type[ManagerMixin]:
    class Kind(ManagerMixin):
        pass

    return Kind


def test_an_instance_is_made_once(kind):
    assert kind.get_instance("a") is kind.get_instance("a")
    assert kind.get_instance("a").instance_name == "a"
    assert kind.check_instance_created("a")
    assert not kind.check_instance_created("b")


def test_classes_do_not_share_instances(kind):
    class Other(ManagerMixin):
        pass

    kind.get_instance("a")
    assert not Other.check_instance_created("a")


def test_the_newest_is_current(kind):
    with pytest.raises(RuntimeError, match="no Kind exists yet"):
        kind.get_current_instance()
    kind.get_instance("a")
    newest = kind.get_instance("b")
    assert kind.get_current_instance() is newest


def test_activating_lasts_for_the_block(kind):
    a, b = kind.get_instance("a"), kind.get_instance("b")
    with a.activate():
        assert kind.get_current_instance() is a
        with b.activate():
            assert kind.get_current_instance() is b
        assert kind.get_current_instance() is a
    assert kind.get_current_instance() is b


def test_what_is_made_inside_a_block_is_current_after_it(kind):
    a = kind.get_instance("a")
    with a.activate():
        inner = kind.get_instance("inner")
        assert kind.get_current_instance() is a
        with inner.activate():
            assert kind.get_current_instance() is inner
        assert kind.get_current_instance() is a
    assert kind.get_current_instance() is inner


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_needed(kind, name):
    with pytest.raises((ValueError, TypeError)):
        kind.get_instance(name)


def test_blocks_end_in_any_order_and_need_no_name() -> None:
    class Thing(ManagerMixin):
        pass

    named, unknown = Thing.get_instance("named"), Thing("not in the table")
    first, second = unknown.activate(), named.activate()
    first.__enter__()
    assert Thing.get_current_instance() is unknown
    second.__enter__()
    first.__exit__(None, None, None)
    assert Thing.get_current_instance() is named
    second.__exit__(None, None, None)
    assert Thing.get_current_instance() is named
