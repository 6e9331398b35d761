from __future__ import annotations

import enum
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visuite.engine.config import Config, ConfigError

text = st.text(max_size=12) | st.sampled_from(
    [
        "{{fileDirname}}",
        "a {{$HOME:x}}",
        "{{_base_.a}}",
        "{{{",
        "1e-5",
        "null",
        "yes",
        "1:30",
        "\x85",
        "#",
        "it's\n",
        "~",
        "=",
        "<<",
        "0o7",
    ]
)
leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | text
names = st.sampled_from(
    ["a", "type", "b_1", "class", "dict", "float", "set", "range", "globals", "x y", "1", "if", "_x", "list", "ä", "µ"]
)


def trees(keys, *, sequences=True):
    def deeper(inner):
        options = st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=4)
        if sequences:
            options |= st.lists(inner, max_size=3).map(tuple) | st.sets(st.integers() | st.text(max_size=3), max_size=3)
        return options

    return st.dictionaries(keys, st.recursive(leaves, deeper, max_leaves=15), max_size=6)


python_trees = trees(names)
any_key_inside = st.dictionaries(
    names, st.dictionaries(text | st.integers() | st.tuples(st.integers()), leaves, max_size=4), max_size=4
)


def types_of(value):
    """The types of all parts of a value, so that a list is not taken for a tuple, or 1 for True."""
    if isinstance(value, dict):
        return {key: types_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value), *map(types_of, value)]
    return type(value)


@settings(max_examples=150, deadline=None)
@given(python_trees | any_key_inside)
def test_printed_config_loads_back_equal(values):
    cfg = Config(values)
    for trusted in (False, True):
        again = Config.fromstring(cfg.pretty_text, ".py", trusted=trusted)
        assert again.to_dict() == values
        assert types_of(again.to_dict()) == types_of(values)


@settings(max_examples=60, deadline=None)
@given(values=trees(names, sequences=False), suffix=st.sampled_from([".py", ".yaml", ".yml", ".json"]))
def test_saved_config_loads_back_equal(values, suffix, tmp_path_factory):
    path = tmp_path_factory.mktemp("dump") / f"c{suffix}"
    Config(values).dump(path)
    again = Config.fromfile(path)
    assert again.to_dict() == values
    assert Config.fromstring(again.dump(), suffix) == again


@given(st.floats())
def test_every_float_survives(number):
    for suffix in (".py", ".yaml", ".json"):
        cfg = Config(dict(a=number, float=number), filename=f"c{suffix}")
        again = Config.fromstring(cfg.dump(), suffix)
        assert repr(again.a) == repr(again.float) == repr(number)


def test_order_of_keys_stays():
    values = dict(z=1, a=dict(y=1, b=2), m=3)
    assert list(Config.fromstring(Config(values).pretty_text, ".py")) == ["z", "a", "m"]


def test_layout():
    cfg = Config(
        dict(model=dict(type="Net", backbone=dict(type="R" * 30, depth=50, layers=[1, 2], scale=(1,)), head={"a b": 1}))
    )
    assert cfg.pretty_text == (
        "model = dict(\n"
        "    type='Net',\n"
        f"    backbone=dict(type='{'R' * 30}', depth=50, layers=[1, 2], scale=(1,)),\n"
        "    head={'a b': 1},\n"
        ")\n"
    )
    flat = Config(cfg.to_dict(), format_python=False)
    assert flat.pretty_text.count("\n") == 1
    assert max(map(len, Config(dict(a=[dict(b=list(range(30))) for _ in range(3)])).pretty_text.splitlines())) <= 100


class Colour(enum.IntEnum):
    RED = 3


def test_objects_are_printed_as_what_names_them():
    values = dict(a=torch.nn.Conv2d, b=Path("x/y"), c=np.float32(0.5), d=Colour.RED, e=torch.tensor(2), f=np.int64(3))
    expected = dict(a="torch.nn.modules.conv.Conv2d", b="x/y", c=0.5, d=3, e=2, f=3)
    for suffix in (".py", ".yaml", ".json"):
        text_of = Config(values, filename=f"x{suffix}").dump()
        assert Config.fromstring(text_of, suffix).to_dict() == expected


def test_tuples_and_sets_become_lists_outside_of_python():
    cfg = Config(dict(a=(1, (2, 3)), b={1}, c=range(3)), filename="x.json")
    assert Config.fromstring(cfg.dump(), ".json").to_dict() == dict(a=[1, [2, 3]], b=[1], c=[0, 1, 2])


def test_unknown_suffix(tmp_path):
    with pytest.raises(ConfigError, match=r"saved as \.py"):
        Config(dict(a=1)).dump(tmp_path / "c.txt")
