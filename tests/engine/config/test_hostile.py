"""Configs from strangers: each is refused with file and line, quickly, and touches nothing."""

from __future__ import annotations

import os
import sys
import time
from itertools import pairwise

import pytest

from visuite.engine.config import Config, ConfigError

LETTERS = "abcdefghijklmnopq"
#: Each with the line that must be named. Where `CANARY` stands, the path of a file to be left alone is put in.
HOSTILE = {
    "import": (1, "import os, subprocess\nsubprocess.run(['touch', 'CANARY'])"),
    "import_socket": (1, "import socket"),
    "from_import": (1, "from shutil import rmtree"),
    "import_inside_if": (2, "if True:\n    import sys"),
    "star_import": (1, "from os.path import *"),
    "relative_import": (1, "from .x import y"),
    "dunder_import": (2, "a = 1\nb = __import__('os').system('touch CANARY')"),
    "dunder_builtins": (1, "a = __builtins__"),
    "dunder_builtins_item": (1, "a = __builtins__['open']"),
    "class_of_list": (1, "a = [].__class__"),
    "subclasses": (1, "a = ().__class__.__bases__[0].__subclasses__()"),
    "class_of_text": (1, "a = ''.__class__.__mro__"),
    "class_of_function": (1, "a = len.__self__"),
    "class_of_module": (2, "import math\na = math.__loader__"),
    "dict_attribute": (2, "d = dict(a=1)\nx = d.a"),
    "method_reference": (1, "f = 'a'.join"),
    "format_attribute": (1, "a = '{0.__class__}'.format(1)"),
    "format_attribute_deep": (1, "a = '{x.__init__.__globals__[os]}'.format(x=[])"),
    "format_import": (1, "a = '{0.__class__.__base__.__subclasses__[__import__]}'.format(())"),
    "format_of_function": (1, "a = f'{len}'"),
    "format_map": (1, "a = '{x}'.format_map(dict(x=1))"),
    "format_width": (1, "a = '{:>1000000000}'.format('x')"),
    "format_nested_width": (1, "a = '{:{}}'.format('x', 10**9)"),
    "format_precision": (1, "a = '{:.999999999f}'.format(1.0)"),
    "fstring_width": (1, "a = f'{1:>99999999999}'"),
    "fstring_nested_width": (2, "w = 10**9\na = f'{1:{w}}'"),
    "percent_width": (1, "a = '%999999999d' % 1"),
    "percent_star": (1, "a = '%*d' % (10**9, 1)"),
    "percent_precision": (1, "a = '%.999999999f' % 1.0"),
    "getattr": (1, "a = getattr([], '__class__')"),
    "open": (1, "open('CANARY', 'w').write('x')"),
    "eval": (1, "a = eval('1+1')"),
    "exec": (1, "exec('import os')"),
    "compile": (1, "a = compile('1', 'x', 'eval')"),
    "type_call": (1, "A = type('A', (), {})"),
    "globals_read": (1, "a = globals()"),
    "locals": (1, "a = locals()"),
    "print": (1, "print('x' * 10)"),
    "lambda": (1, "a = lambda: 1"),
    "sort_key_lambda": (1, "a = sorted([1], key=lambda x: x)"),
    "def": (1, "def f():\n    return f()\nf()"),
    "class": (1, "class A:\n    pass"),
    "decorator": (2, "@staticmethod\ndef f():\n    pass"),
    "while": (1, "while True:\n    pass"),
    "try": (1, "try:\n    a = 1\nexcept Exception:\n    pass"),
    "raise": (1, "raise SystemExit"),
    "assert": (1, "assert False"),
    "global": (1, "global a"),
    "walrus": (1, "a = [y := 1, y ** 2]"),
    "walrus_in_loop": (1, "a = [(s := 'x') for _ in range(3)]"),
    "await": (1, "a = await b"),
    "yield": (1, "a = (yield 1)"),
    "with_open": (1, "with open('CANARY', 'w') as f:\n    pass"),
    "match": (1, "match 1:\n    case 1:\n        a = 1"),
    "huge_range": (1, "a = list(range(10**9))"),
    "huge_range_loop": (1, "for i in range(10**18):\n    pass"),
    "huge_range_start": (1, "a = range(10**5000, 10**5000 + 3)"),
    "nested_ranges": (2, "n = 1000\na = [i for i in range(n) for j in range(n) for k in range(n)]"),
    "huge_power": (1, "a = 10 ** 10 ** 10"),
    "tower": (1, "a = 9 ** 9 ** 9 ** 9"),
    "repeated_square": (3, "a = 3\nfor i in range(100):\n    a = a * a"),
    "power_builtin": (1, "a = pow(3, 10**9)"),
    "shift": (1, "a = 1 << 10**10"),
    "huge_int_text": (1, "a = int('9' * 4000)"),
    "factorial": (2, "import math\na = math.factorial(10**7)"),
    "product": (2, "import math\na = math.prod([2**4000] * 1000)"),
    "text_repetition": (1, "a = 'x' * 10**10"),
    "list_repetition": (1, "a = [0] * 10**9"),
    "list_doubling": (3, "a = [0]\nfor i in range(100):\n    a = a * 2"),
    "list_adding": (3, "a = [0]\nfor i in range(100):\n    a += a"),
    "text_adding": (3, "a = 'x'\nfor i in range(100):\n    a = a + a"),
    "many_lists": (1, "a = [[0] * 99999 for i in range(99999)]"),
    "replace_growth": (1, "a = ('x' * 1000).replace('x', 'y' * 100000)"),
    "join_growth": (1, "a = ('x' * 100000).join('y' * 100000)"),
    "ljust": (1, "a = 'x'.ljust(10**10)"),
    "zfill": (1, "a = 'x'.zfill(10**10)"),
    "append_while_looping": (3, "a = [1]\nfor x in a:\n    a.append(x)"),
    "laughs": (3, "a = [1]\nfor i in range(60):\n    a = [a, a]"),
    "laughs_in_print": (4, "a = [1]\nfor i in range(60):\n    a = [a, a]\nb = str(a)"),
    "laughs_hashed": (4, "a = (1,)\nfor i in range(60):\n    a = (a, a)\nb = {a: 1}"),
    "laughs_compared": (
        5,
        "a, b = (1,), (1,)\nfor i in range(60):\n    a = (a, a)\n    b = (b, b)\nc = a == b",
    ),
    "laughs_copied": (
        5,
        "import copy\na = dict(x=1)\nfor i in range(60):\n    a = dict(l=a, r=a)\n    b = copy.deepcopy(a)",
    ),
    "contains_itself": (1, "a = []\na.append(a)"),
    "dict_contains_itself": (2, "d = dict()\nd['d'] = d"),
    "deep_value": (3, "a = []\nfor i in range(5000):\n    a = [a]"),
    "deep_brackets": (1, "a = " + "[" * 150 + "]" * 150),
    "very_deep_brackets": (1, "a = " + "[" * 50000),
    "deep_unary": (1, "a = " + "-" * 20000 + "1"),
    "deep_attributes": (1, "a = b" + ".c" * 20000),
    "many_elifs": (1, "if 0:\n    a = 1\n" + "elif 0:\n    a = 1\n" * 5000),
    "colliding_keys": (1, "a = {i * (2**61 - 1): 0 for i in range(100000)}"),
    "colliding_set": (3, "s = set()\nfor i in range(50000):\n    s.add(i * (2**61 - 1))"),
    "colliding_assignment": (3, "d = {}\nfor i in range(50000):\n    d[i * (2**61 - 1)] = 0"),
    "colliding_list": (1, "s = set([i * (2**61 - 1) for i in range(50000)])"),
    "popping": (4, "for j in range(100):\n    a = [0] * 99999\n    for i in range(99999):\n        a.pop(0)"),
    "environ": (2, "import os\na = os.environ['HOME']"),
    "getenv": (2, "import os\na = os.getenv('HOME')"),
    "os_system": (2, "import os\nos.system('touch CANARY')"),
    "os_remove": (2, "import os\nos.remove('CANARY')"),
    "os_path_exists": (2, "import os.path as osp\na = osp.exists('/etc/passwd')"),
    "os_path_getsize": (2, "import os.path as osp\na = osp.getsize('/etc/passwd')"),
    "os_path_expanduser": (2, "import os\na = os.path.expanduser('~')"),
    "os_path_abspath": (2, "import os.path as osp\na = osp.abspath('x')"),
    "os_path_os": (2, "import os.path as osp\nosp.os.system('touch CANARY')"),
    "set_builtin": (1, "len.x = 1"),
    "set_module": (2, "import math\nmath.pi = 3"),
    "update_of_builtin": (1, "dict.update(__builtins__, len=1)"),
    "method_of_type": (1, "a = str.mro()"),
    "function_as_value": (1, "a = dict(b=[len])"),
    "module_as_value": (2, "import math\na = [math]"),
    "matrix_product": (1, "a = [1] @ [2]"),
    "async_comprehension": (1, "a = [x async for x in y]"),
    "syntax": (2, "a = 1\nb = = 2"),
    "null_byte": (1, "a = 1\0"),
    "base_of_code": (1, "_base_ = __import__('os').getcwd()"),
    "base_not_text": (1, "_base_ = 5"),
    "base_missing": (1, "_base_ = './nothing.py'"),
    "base_is_itself": (1, "_base_ = './hostile.py'"),
    "base_package": (1, "_base_ = 'no_such_package::x.py'"),
    "base_dotted_package": (1, "_base_ = 'os.path::x.py'"),
    "base_device": (1, "_base_ = '/dev/zero'"),
    "read_base_other": (2, "with read_base():\n    a = 1"),
    "unknown_name": (1, "a = nothing"),
    "break": (1, "break"),
    "unpack": (1, "a, b = 1, 2, 3"),
    "division": (1, "a = 1 / 0"),
    "missing_variable": (1, "a = '{{$NO_SUCH_VARIABLE_HERE}}'"),
}


def load_hostile(folder, source: str) -> tuple[str, float]:
    """Return the message of the ConfigError that a config gives, and the seconds it took."""
    canary = folder / "canary"
    canary.write_text("untouched")
    file = folder / "hostile.py"
    file.write_text(source.replace("CANARY", str(canary)))
    before = sorted(os.listdir(folder)), set(sys.modules), dict(os.environ), os.getcwd()
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        Config.fromfile(file)
    seconds = time.process_time() - start
    assert before == (sorted(os.listdir(folder)), set(sys.modules), dict(os.environ), os.getcwd())
    assert canary.read_text() == "untouched"
    return str(caught.value), seconds


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_config_is_refused(name, tmp_path):
    line, source = HOSTILE[name]
    message, seconds = load_hostile(tmp_path, source)
    assert message.startswith(f"{tmp_path / 'hostile.py'}:{line}: "), message
    assert len(message) < 1000
    assert seconds < 10  # a limit that nothing comes near, so that a hang fails


def test_circle_of_bases(tmp_path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.py").write_text(f"_base_ = './{base}.py'\n{name} = 1")
    with pytest.raises(ConfigError, match=r"c\.py:1: the bases go in a circle: a\.py -> b\.py -> c\.py -> a\.py"):
        Config.fromfile(tmp_path / "a.py")


def test_endless_chain_of_bases(tmp_path):
    for i in range(60):
        (tmp_path / f"c{i}.py").write_text(f"_base_ = './c{i + 1}.py'")
    (tmp_path / "c60.py").write_text("a = 1")
    with pytest.raises(ConfigError, match="inherit from each other"):
        Config.fromfile(tmp_path / "c0.py")


def test_many_paths_to_one_base_are_read_once(tmp_path):
    """A lattice of bases has 2**12 paths through it."""
    for i in range(12):
        for side in "ab":
            (tmp_path / f"{side}{i}.py").write_text(
                f"with read_base():\n    from .a{i + 1} import *\n    from .b{i + 1} import *"
            )
    for side in "ab":
        (tmp_path / f"{side}12.py").write_text(f"{side} = 1")
    assert Config.fromfile(tmp_path / "a0.py").to_dict() == {"a": 1, "b": 1}


def test_fifo_and_folder_are_no_configs(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    for name in ("pipe.py", "folder.py"):
        with pytest.raises(ConfigError, match="no regular file"):
            Config.fromfile(tmp_path / name)


def test_large_file_is_refused(tmp_path):
    (tmp_path / "large.py").write_text("#" * 5_000_000)
    with pytest.raises(ConfigError, match="larger than"):
        Config.fromfile(tmp_path / "large.py")


def test_file_that_is_no_text(tmp_path):
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.fromfile(tmp_path / "binary.py")


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "a: !!python/object/apply:os.system ['true']"),
        (".yaml", "a: [1, 2"),
        (".yaml", "- 1"),
        (".yaml", "? [1, 2]\n: 3"),
        (".yaml", "a: " + "[" * 500 + "]" * 500),
        (".yaml", "a: &a [1]\n" + "".join(f"{x}: &{x} [*{y}, *{y}, *{y}]\n" for y, x in pairwise(LETTERS))),
        (".yaml", "a: &a {k: 1}\n" + "".join(f"{x}: &{x} {{<<: [*{y}, *{y}]}}\n" for y, x in pairwise(LETTERS * 2))),
        (".yaml", "".join(f"{i * (2**61 - 1)}: 0\n" for i in range(3000))),
        (".yaml", "a: &a\n  b: *a"),
        (".json", '{"a": 1,}'),
        (".json", "[1]"),
        (".json", '{"a": ' + "[" * 100000 + "]" * 100000 + "}"),
    ],
)  # fmt: skip
def test_hostile_yaml_and_json(suffix, text):
    with pytest.raises(ConfigError, match=rf"^<string>{suffix}:\d+: "):
        Config.fromstring(text, suffix)


def test_template_values_are_data(monkeypatch, tmp_path):
    """What stands in an environment variable or a path is text, never source."""
    monkeypatch.setenv("EVIL", "'); import os #")
    cfg = Config.fromstring("a = '{{$EVIL:x}}'\nb = {{$EVIL:x}}\nc = 1", ".py")
    assert cfg.to_dict() == {"a": "'); import os #", "b": "'); import os #", "c": 1}
    folder = tmp_path / "it's"
    folder.mkdir()
    (folder / "c.py").write_text("a = '{{fileDirname}}'")
    assert Config.fromfile(folder / "c.py").a == str(folder)


def test_hostile_new_style(tmp_path):
    (tmp_path / "hostile.py").write_text("from subprocess import Popen\nimport torch\na = dict(type=Popen)")
    with pytest.raises(ConfigError, match=r"hostile\.py:1: a config does not import 'subprocess'"):
        Config.fromfile(tmp_path / "hostile.py")
    (tmp_path / "hostile.py").write_text("import torch\na = torch.load('x')")
    with pytest.raises(ConfigError, match=r"hostile\.py:2: "):
        Config.fromfile(tmp_path / "hostile.py")


def test_printing_of_hostile_text_is_inert(tmp_path):
    values = {"a": "{{$HOME:x}} {{fileDirname}} {{_base_.a}}", "b": "'\n\"\\{{"}
    text = Config(values).pretty_text
    assert Config.fromstring(text, ".py").to_dict() == values
    for suffix in (".json", ".yaml"):
        Config(values).dump(tmp_path / f"c{suffix}")
        assert Config.fromfile(tmp_path / f"c{suffix}").to_dict() == values
