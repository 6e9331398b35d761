from __future__ import annotations

import argparse

import pytest

from visuite.engine.config import Config, DictAction


def parse(*arguments: str):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args(["--cfg-options", *arguments]).cfg_options


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2", -2),
        ("1e-3", 0.001),
        ("True", True),
        ("false", False),
        ("None", None),
        ("none", "none"),
        ("", ""),
        ("text", "text"),
        ("a b", "a b"),
        ("a=b", "a=b"),
        ("it's", "it's"),
        ("http://x/y?z=1", "http://x/y?z=1"),
        ("1,2", [1, 2]),
        ("1,", [1]),
        ("[]", []),
        ("()", ()),
        ("[1]", [1]),
        ("(1,)", (1,)),
        ("[1, 2.5, x]", [1, 2.5, "x"]),
        ("(1,2)", (1, 2)),
        ("(1,2),(3,4)", [(1, 2), (3, 4)]),
        ("[(a,b),(c,d)]", [("a", "b"), ("c", "d")]),
        ("[a,[b,(1,True)]]", ["a", ["b", (1, True)]]),
        ("1,2,[3,4]", [1, 2, [3, 4]]),
        ('"[1,2]"', [1, 2]),
        ("'a','b'", ["a", "b"]),
        ("'a,b'", "a,b"),
        ("['a,b',\"c]\"]", ["a,b", "c]"]),
        ("'5'", "5"),
        ('{"b":1}', '{"b":1}'),
    ],
)
def test_values(text, value):
    found = parse(f"a.b={text}")
    assert found == {"a.b": value}
    assert type(found["a.b"]) is type(value)


def test_several_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--o", nargs="+", action=DictAction)
    assert parser.parse_args(["--o", "a=1", "b.0.c=x", "--o", "a=2"]).o == {"a": 2, "b.0.c": "x"}
    assert parser.parse_args([]).o is None


@pytest.mark.parametrize("text", ["a", "=1", "a=[1", "a=1]", "a=(1,2]", "a=[(1]", "a='x,y"])
def test_faulty_options(text):
    with pytest.raises(argparse.ArgumentError):
        parse(text)


def test_options_change_a_config():
    cfg = Config(dict(p=[dict(s=1), dict(s=2)], m=dict(d=3)))
    cfg.merge_from_dict(parse("p.1.s=(4,4)", "m.d=5", "m.n=None"))
    assert cfg.to_dict() == dict(p=[dict(s=1), dict(s=(4, 4))], m=dict(d=5, n=None))
