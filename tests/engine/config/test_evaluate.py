"""The evaluator gives what Python gives, for all that configs may do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.config import Config, ConfigError

SAME_AS_PYTHON = {
    "arithmetic": """
a = 1 + 2 * 3 ** 2 // 4 - 7 % 3 / 2
b = -a
c = +a
d = ~5
e = 1 << 4 | 3 & 2 ^ 1
f = 16 >> 2
""",
    "comparisons": """
a = 1 < 2 <= 2 != 3
b = 'x' in 'xyz' and 3 not in [1]
c = None is None
d = len is not None
""",
    "boolean": """
a = 0 or [] or 'x'
b = 1 and '' and 3
c = not a
d = 1 if c else 2
""",
    "collections": """
a = [1, *[2, 3]]
b = (1,)
c = {1, 2} | {3}
d = {'x': 1, **dict(y=2)}
e = dict([('a', 1)], b=2)
f = set()
""",
    "unpacking": """
a, (b, *c), d = 1, (2, 3, 4), 5
[e, f] = 'xy'
g = h = [1]
h.append(2)
*i, j = range(3)
""",
    "subscripts": """
a = [[1, 2], [3]]
a[0][1] = 9
a[1:] = [7, 8]
b = a[::-1]
c = 'hello'[1:-1]
d = dict(x=[1])['x'][0]
del a[0]
""",
    "augmented": """
a = [1]
b = a
a += [2]
c = 1
c *= 5
c -= 1
d = dict(x=1)
e = d
d |= dict(y=2)
f = 'x'
f += 'y'
""",
    "annotated": """
a: int = 3
b: str
""",
    "loops": """
a = []
for i, (x, y) in enumerate([(1, 2), (3, 4)]):
    if x == 3:
        break
    a.append(i + x + y)
else:
    a = None
for k in dict(p=1):
    continue
else:
    b = k
del i, x, y
""",
    "if": """
a = 3
if a > 5:
    b = 1
elif a > 2:
    b = 2
else:
    b = 3
""",
    "comprehensions": """
n = 2
a = [x * y for x in range(3) for y in range(x) if y % n]
b = {x: str(x) for x in 'ab'}
c = {x % 2 for x in range(5)}
d = sum(x ** 2 for x in [1, 2])
x = 5
e = [x for x in range(2)]
""",
    "fstrings": """
w = 7
x = 3.14159
a = f'{x:.2f}|{x:>{w}.1f}|{w!r:^5}|{{w}}|{[1, dict(a=2)]}'
b = f'{w=}'
c = f''
""",
    "format": """
a = '{} {} {x[k]} {y[0]:>4}'.format(1, 'b', x=dict(k=2), y=[3])
b = '{1}{0!r}'.format('a', 2)
c = '{:{}} {}'.format(3, 5, 7)
d = '{{}}'.format()
""",
    "percent": """
a = '%s-%05.1f-%d%%' % ('x', 2.5, 3)
b = '%(k)s' % dict(k=1)
c = '%s' % [1]
d = '%-5s|%+d|%x' % ('a', 1, 255)
""",
    "text": """
a = ' x,y '.strip().split(',')
b = '-'.join(['a', 'b'])
c = 'abc'.replace('b', 'x').upper().center(9, '.')
d = 'a.b'.partition('.')
e = 'x' * 3
f = 'abc'.startswith(('a', 'b'))
""",
    "lists": """
a = [3, 1, 2]
a.sort(reverse=True)
a.insert(0, 9)
b = a.pop()
c = a.index(3)
a.extend((1, 1))
d = a.count(1)
e = a.copy()
e.reverse()
a.remove(9)
f = sorted(['bb', 'a'], key=len)
""",
    "dicts": """
a = dict(x=1, y=dict(z=2))
b = list(a.keys())
c = [v for k, v in a.items() if k == 'x']
d = a.pop('x')
a.update(y=dict(w=3))
e = a.get('q', 5)
a.setdefault('s', []).append(1)
f = a.copy()
f['t'] = 1
""",
    "sets": """
a = {1, 2}
a.add(3)
b = a & {2, 9}
c = a - {1}
d = a.union([7])
e = sorted(a ^ {1})
""",
    "builtins": """
a = [len('abc'), abs(-3), round(2.567, 1), round(3.5), min(3, 1), max([1, 5]), sum([[1], [2]], [])]
b = list(zip('ab', [1, 2]))
c = list(reversed([1, 2]))
d = [int('7'), float('1e-3'), str(5), bool([]), tuple([1])]
e = [any([0, 1]), all([0, 1]), isinstance(3, (int, str)), isinstance('x', list), divmod(7, 2), pow(2, 5)]
f = list(range(5, 0, -2))
g = [list(enumerate('ab', 1)), set([1, 1]), repr('x'), float('inf'), int(3.9), chr(97), ord('a')]
""",
    "modules": """
import copy
import math
import os
import os.path as osp
from math import pi, floor as fl
from copy import deepcopy
from os.path import join
a = copy.deepcopy([1, dict(b=[2])])
b = [math.ceil(1.2), math.sqrt(16), pi, fl(2.7), math.prod([2, 3])]
c = [osp.join('a', 'b.py'), os.path.basename('/x/y.z'), join('p', 'q'), osp.splitext('a.b'), osp.dirname('/a/b')]
d = copy.copy([1])
e = deepcopy(dict(x=1))
f = math.log(math.e)
g = osp.normpath('a/../b')
""",
    "aliasing": """
a = [1]
b = dict(x=a)
a.append(2)
c = b['x']
""",
    "strings_joined": """
a = 'x' 'y'
b = '''l1
l2'''
c = r'\\d'
d = b'abc'
e = 1_000
f = 2j
g = ...
""",
    "shadowing": """
list = 3
a = [list]
""",
    "long_sum": "a = " + " + ".join(["1"] * 500),
    "main_block": """
a = 1
if __name__ == '__main__':
    open('x')
""",
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
