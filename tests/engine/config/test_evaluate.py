"""The evaluator gives what Python gives, for all that configs may do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.config import Config, ConfigError

SAME_AS_PYTHON = {
    "arithmetic": "a = 1 + 2 * 3 ** 2 // 4 - 7 % 3 / 2\nb = -a\nc = +a\nd = ~5\ne = 1 << 4 | 3 & 2 ^ 1\nf = 16 >> 2",
    "comparisons": "a = 1 < 2 <= 2 != 3\nb = 'x' in 'xyz' and 3 not in [1]\nc = None is None\nd = len is not None",
    "boolean": "a = 0 or [] or 'x'\nb = 1 and '' and 3\nc = not a\nd = 1 if c else 2",
    "collections": "a = [1, *[2, 3]]\nb = (1,)\nc = {1, 2} | {3}\nd = {'x': 1, **dict(y=2)}\ne = dict([('a', 1)], b=2)\nf = set()",
    "unpacking": "a, (b, *c), d = 1, (2, 3, 4), 5\n[e, f] = 'xy'\ng = h = [1]\nh.append(2)\n*i, j = range(3)",
    "subscripts": "a = [[1, 2], [3]]\na[0][1] = 9\na[1:] = [7, 8]\nb = a[::-1]\nc = 'hello'[1:-1]\nd = dict(x=[1])['x'][0]\ndel a[0]",
    "augmented": "a = [1]\nb = a\na += [2]\nc = 1\nc *= 5\nc -= 1\nd = dict(x=1)\ne = d\nd |= dict(y=2)\nf = 'x'\nf += 'y'",
    "annotated": "a: int = 3\nb: str",
    "loops": "a = []\nfor i, (x, y) in enumerate([(1, 2), (3, 4)]):\n    if x == 3:\n        break\n    a.append(i + x + y)\n"
    "else:\n    a = None\nfor k in dict(p=1):\n    continue\nelse:\n    b = k\ndel i, x, y",
    "if": "a = 3\nif a > 5:\n    b = 1\nelif a > 2:\n    b = 2\nelse:\n    b = 3",
    "comprehensions": "n = 2\na = [x * y for x in range(3) for y in range(x) if y % n]\nb = {x: str(x) for x in 'ab'}\n"
    "c = {x % 2 for x in range(5)}\nd = sum(x ** 2 for x in [1, 2])\nx = 5\ne = [x for x in range(2)]",
    "fstrings": "w = 7\nx = 3.14159\na = f'{x:.2f}|{x:>{w}.1f}|{w!r:^5}|{{w}}|{[1, dict(a=2)]}'\nb = f'{w=}'\nc = f''",
    "format": "a = '{} {} {x[k]} {y[0]:>4}'.format(1, 'b', x=dict(k=2), y=[3])\nb = '{1}{0!r}'.format('a', 2)\n"
    "c = '{:{}} {}'.format(3, 5, 7)\nd = '{{}}'.format()",
    "percent": "a = '%s-%05.1f-%d%%' % ('x', 2.5, 3)\nb = '%(k)s' % dict(k=1)\nc = '%s' % [1]\nd = '%-5s|%+d|%x' % ('a', 1, 255)",
    "text": "a = ' x,y '.strip().split(',')\nb = '-'.join(['a', 'b'])\nc = 'abc'.replace('b', 'x').upper().center(9, '.')\n"
    "d = 'a.b'.partition('.')\ne = 'x' * 3\nf = 'abc'.startswith(('a', 'b'))",
    "lists": "a = [3, 1, 2]\na.sort(reverse=True)\na.insert(0, 9)\nb = a.pop()\nc = a.index(3)\na.extend((1, 1))\nd = a.count(1)\n"
    "e = a.copy()\ne.reverse()\na.remove(9)\nf = sorted(['bb', 'a'], key=len)",
    "dicts": "a = dict(x=1, y=dict(z=2))\nb = list(a.keys())\nc = [v for k, v in a.items() if k == 'x']\nd = a.pop('x')\n"
    "a.update(y=dict(w=3))\ne = a.get('q', 5)\na.setdefault('s', []).append(1)\nf = a.copy()\nf['t'] = 1",
    "sets": "a = {1, 2}\na.add(3)\nb = a & {2, 9}\nc = a - {1}\nd = a.union([7])\ne = sorted(a ^ {1})",
    "builtins": "a = [len('abc'), abs(-3), round(2.567, 1), round(3.5), min(3, 1), max([1, 5]), sum([[1], [2]], [])]\n"
    "b = list(zip('ab', [1, 2]))\nc = list(reversed([1, 2]))\nd = [int('7'), float('1e-3'), str(5), bool([]), tuple([1])]\n"
    "e = [any([0, 1]), all([0, 1]), isinstance(3, (int, str)), isinstance('x', list), divmod(7, 2), pow(2, 5)]\nf = list(range(5, 0, -2))\n"
    "g = [list(enumerate('ab', 1)), set([1, 1]), repr('x'), float('inf'), int(3.9), chr(97), ord('a')]",
    "modules": "import copy\nimport math\nimport os\nimport os.path as osp\nfrom math import pi, floor as fl\nfrom copy import deepcopy\n"
    "from os.path import join\na = copy.deepcopy([1, dict(b=[2])])\nb = [math.ceil(1.2), math.sqrt(16), pi, fl(2.7), math.prod([2, 3])]\n"
    "c = [osp.join('a', 'b.py'), os.path.basename('/x/y.z'), join('p', 'q'), osp.splitext('a.b'), osp.dirname('/a/b')]\n"
    "d = copy.copy([1])\ne = deepcopy(dict(x=1))\nf = math.log(math.e)\ng = osp.normpath('a/../b')",
    "aliasing": "a = [1]\nb = dict(x=a)\na.append(2)\nc = b['x']",
    "strings_joined": "a = 'x' 'y'\nb = '''l1\nl2'''\nc = r'\\d'\nd = b'abc'\ne = 1_000\nf = 2j\ng = ...",
    "shadowing": "list = 3\na = [list]",
    "long_sum": "a = " + " + ".join(["1"] * 500),
    "main_block": "a = 1\nif __name__ == '__main__':\n    open('x')",
}


def as_python(source: str) -> dict:
    names: dict = {"__name__": "<config>"}
    exec(source, names)
    plain = (int, float, complex, str, bytes, bool, list, tuple, dict, set, type(None), type(...))
    return {k: v for k, v in names.items() if not k.startswith("__") and isinstance(v, plain)}


@pytest.mark.parametrize("name", SAME_AS_PYTHON)
def test_same_as_python(name):
    source = SAME_AS_PYTHON[name]
    found = Config.fromstring(source, ".py").to_dict()
    expected = as_python(source)
    if "import pi" in source:  # what is imported is no value of the config
        del expected["pi"]
    assert found == expected
    assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in expected.items()}


TEMPLATES = (
    *(f"({{0}} {op} {{1}})" for op in ("+", "-", "*", "<", "==", "and", "or")),
    "[{0}, {1}][{2} > 0]",
    "({0} if {1} else {2})",
    "max({0}, {1})",
    "sum([x for x in ({0}, {1})])",
    "len('{{!r:>{{}}}}'.format({0}, 5))",
)
numbers = st.integers(-50, 50) | st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
expressions = st.recursive(
    numbers.map(repr),
    lambda inner: st.tuples(st.sampled_from(TEMPLATES), inner, inner, inner).map(lambda t: t[0].format(*t[1:])),
    max_leaves=12,
)


@given(expressions)
def test_random_expressions_are_what_python_makes_of_them(expression):
    try:
        expected = eval(expression)
    except (OverflowError, ZeroDivisionError):
        return
    found = Config.fromstring(f"a = {expression}", ".py").a
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_private_names_stay_and_dunder_names_go():
    assert Config.fromstring("_a = 1\n__b = 2\n__all__ = ['x']\nc = __b", ".py").to_dict() == {"_a": 1, "c": 2}


def test_delete_mark_without_base_stays():
    assert Config.fromstring("a = dict(_delete_=True, b=1)", ".py").a == {"_delete_": True, "b": 1}


def test_names_of_comprehensions_do_not_leak():
    assert Config.fromstring("a = [i for i in range(3)]", ".py").to_dict() == {"a": [0, 1, 2]}


def test_own_file_is_known(tmp_path):
    (tmp_path / "c.py").write_text("import os.path as osp\nroot = osp.dirname(__file__)")
    assert Config.fromfile(tmp_path / "c.py").root == str(tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("depth = 50\na = dict(\n    x=1,\n    y=dept)", r":4: the name 'dept' is not defined; did you mean 'depth'"),
        ("a = dict(model=1)\nb = a['modle']", r":2: a\['modle'\]: no such key; did you mean 'model'"),
        ("a = dict(x=1)\nb = a.x", r":2: a dict has no attribute 'x' in a config; write \['x'\]"),
        ("a = [1].push(2)", r":1: a config may not call 'push' of a list"),
        ("a = 'x'.uper()", r"did you mean 'upper'"),
        ("import os\na = os.environ", r":2: os\.environ .*'\{\{\$NAME:default\}\}'"),
        ("import math\na = math.sqr(2)", r"did you mean 'sqrt'"),
        ("def f():\n    pass", r":1: a config has no def; configs are data, only trusted=True"),
        ("a = 'a' + 1", r":1: TypeError: can only concatenate str"),
        ("from mmdet.models import X\n_base_ = 'x'", r":\d: "),
    ],
)
def test_messages(source, message):
    with pytest.raises(ConfigError, match=rf"^<string>\.py{message}" if message[0] == ":" else message):
        Config.fromstring(source, ".py")
