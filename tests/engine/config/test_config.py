from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from visuite.engine.config import Config, ConfigDict, ConfigError, ConfigNotFoundError, Location
from visuite.engine.config.files import _module_folder

BASE = """\
norm = dict(type='BN')
model = dict(
    type='Net',
    backbone=dict(
        type='ResNet',
        depth=50,
        norm=norm),
    head=None)
pipeline = [dict(type='Load'), dict(type='Resize', scale=(4, 4))]
batch = 8
"""


@pytest.fixture
def folder(write):
    return write(base_py=BASE)


def child(folder, text: str, name: str = "child.py") -> Config:
    (folder / name).write_text(text)
    return Config.fromfile(folder / name)


# ------------------------------------------------------------------ inheriting


def test_child_merges_into_base(folder):
    cfg = child(folder, "_base_ = './base.py'\nmodel = dict(backbone=dict(depth=101), neck=dict(n=1))")
    assert cfg.model.to_dict() == {
        "type": "Net",
        "backbone": {"type": "ResNet", "depth": 101, "norm": {"type": "BN"}},
        "head": None,
        "neck": {"n": 1},
    }
    assert list(cfg) == ["norm", "model", "pipeline", "batch"]


def test_lists_are_replaced(folder):
    assert child(folder, "_base_ = 'base.py'\npipeline = [1]").pipeline == [1]


def test_delete_replaces_the_dict_of_the_base(folder):
    cfg = child(folder, "_base_ = './base.py'\nmodel = dict(backbone=dict(_delete_=True, type='Swin'))")
    assert cfg.model.backbone == {"type": "Swin"}


def test_dict_over_none_is_an_error_that_names_the_way_out(folder):
    with pytest.raises(
        ConfigError, match=r"child\.py:2: model\.head is a dict here but None in the base.*_delete_=True"
    ):
        child(folder, "_base_ = './base.py'\nmodel = dict(head=dict(a=1))")
    cfg = child(folder, "_base_ = './base.py'\nmodel = dict(head=dict(_delete_=True, a=1))")
    assert cfg.model.head == {"a": 1}


def test_two_bases_may_not_set_the_same_key(folder, write):
    write(other_py="a = 1\nbatch = 2")
    with pytest.raises(ConfigError, match=r"child\.py:1: two bases set 'batch': .*base\.py:10 and .*other\.py:2"):
        child(folder, "_base_ = ['base.py', 'other.py']")


def test_base_values_are_read_and_changed(folder):
    cfg = child(
        folder,
        "_base_ = './base.py'\n"
        "twice = _base_.batch * 2\n"
        "same = {{_base_.model.backbone.depth}}\n"
        "word = 'n{{_base_.batch}}'\n"
        "whole = '{{_base_.norm}}'\n"
        "item = '{{_base_.pipeline.1.scale}}'\n"
        "_base_.model.backbone.depth = 18\n"
        "_base_.pipeline[1].scale = 7\n"
        "_base_['norm']['type'] = 'GN'\n"
        "del _base_.model.head\n",
    )
    assert (cfg.twice, cfg.same, cfg.word, cfg.whole, cfg.item) == (16, 50, "n8", {"type": "GN"}, (4, 4))
    assert cfg.model == {"type": "Net", "backbone": {"type": "ResNet", "depth": 18, "norm": {"type": "BN"}}}
    assert (cfg.pipeline[1].scale, cfg.norm.type) == (7, "GN")


def test_changes_do_not_reach_other_configs(folder):
    first = child(folder, "_base_ = './base.py'\n_base_.model.backbone.depth = 1\n_base_.pipeline.append(3)")
    first.model.backbone.depth = 2
    second = child(folder, "_base_ = './base.py'", "second.py")
    assert second.model.backbone.depth == 50
    assert len(second.pipeline) == 2


def test_changed_base_is_read_anew(folder):
    assert child(folder, "_base_ = './base.py'").batch == 8
    (folder / "base.py").write_text("batch = 1000")
    assert child(folder, "_base_ = './base.py'").to_dict() == {"batch": 1000}


def test_base_from_a_package(write, tmp_path, monkeypatch):
    """The configs of a package are found without importing it, and get its scope."""
    package = tmp_path / "mmdet"
    (package / ".mim" / "configs" / "a").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('imported')")
    (package / ".mim" / "configs" / "a" / "b.py").write_text(
        "model = dict(type='X', neck=dict(type='Y'))\nn = dict(m=1)"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    _module_folder.cache_clear()
    folder = write(child_py="_base_ = 'mmdet::a/b.py'", wrong_py="_base_ = 'mmdet::a/bb.py'")
    assert Config.fromfile(folder / "child.py").to_dict() == {
        "model": {"type": "X", "neck": {"type": "Y"}, "_scope_": "mmdet"},
        "n": {"m": 1},
    }
    with pytest.raises(ConfigError, match=r"wrong\.py:1: mmdet::a/bb\.py: no such config; did you mean 'b\.py'"):
        Config.fromfile(folder / "wrong.py")
    _module_folder.cache_clear()


def test_missing_base_names_the_nearest_file(folder):
    with pytest.raises(
        ConfigNotFoundError, match=r"child\.py:2: .*bases\.py: no such config; did you mean 'base\.py'\?"
    ):
        child(folder, "\n_base_ = './bases.py'")
    with pytest.raises(FileNotFoundError):
        Config.fromfile(folder / "nothing.py")


@pytest.mark.parametrize("suffix", ["yaml", "json", "py"])
def test_formats_inherit_from_each_other(suffix, folder, monkeypatch):
    monkeypatch.delenv("UNSET", raising=False)
    texts = {
        "yaml": '_base_: ./base.py\nmodel: {backbone: {depth: 18}}\nn: {{_base_.batch}}\ns: "{{_base_.norm}}"\n'
        't: a{{_base_.batch}}\nu: {{$UNSET:5}}\nv: "{{$UNSET:5}}"\nw: "{{fileBasename}}"\nlr: 1e-5\n',
        "json": '{"_base_": "./base.py", "model": {"backbone": {"depth": 18}}, "n": {{ _base_.batch }},\n'
        '"s": "{{_base_.norm}}", "t": "a{{_base_.batch}}", "u": {{$UNSET:5}}, "v": "{{$UNSET:5}}",'
        '"w": "{{fileBasename}}", "lr": 1e-5}',
        "py": "_base_ = './base.py'\nmodel = dict(backbone=dict(depth=18))\nn = {{_base_.batch}}\n"
        "s = '{{_base_.norm}}'\n"
        "t = 'a{{_base_.batch}}'\nu = {{$UNSET:5}}\nv = '{{$UNSET:5}}'\nw = '{{fileBasename}}'\nlr = 1e-5",
    }
    cfg = child(folder, texts[suffix], f"child.{suffix}")
    assert cfg.model.backbone.depth == 18
    found = (cfg.n, cfg.s, cfg.t, cfg.u, cfg.v, cfg.w, cfg.lr)
    assert found == (8, {"type": "BN"}, "a8", 5, "5", f"child.{suffix}", 1e-5)
    assert cfg.env_variables == {"UNSET": "5"}


def test_predefined_variables(folder):
    text = "a = '{{fileDirname}}|{{ fileBasename }}|{{fileBasenameNoExtension}}|{{fileExtname}}'\n"
    text += "b = f'{{fileExtname}}{1}'"
    cfg = child(folder, text, "x.py")
    assert cfg.a == f"{folder}|x.py|x|.py"
    assert cfg.b == ".py1"
    raw = Config.fromfile(folder / "x.py", use_predefined_variables=False)
    assert "{{fileDirname}}" in raw.a


def test_environment_variables(folder, monkeypatch):
    monkeypatch.setenv("ROOT", "/data")
    monkeypatch.setenv("COUNT", "3")
    cfg = child(folder, "a = '{{$ROOT:/x}}/coco'\nb = {{$COUNT:1}}\nc = {{'$COUNT:1'}}\nd = '{{$NOPE_:none}}'")
    assert cfg.to_dict() == {"a": "/data/coco", "b": 3, "c": 3, "d": "none"}
    assert cfg.env_variables == {"ROOT": "/data", "COUNT": "3", "NOPE_": "none"}
    raw = child(folder, "a = '{{$ROOT:/x}}'") and Config.fromfile(folder / "child.py", use_environment_variables=False)
    assert (raw.a, raw.env_variables) == ("{{$ROOT:/x}}", {})
    with pytest.raises(ConfigError, match=r"child\.py:1: the environment variable 'NOPE_' is not set"):
        child(folder, "a = '{{$NOPE_:}}'")


# ------------------------------------------------------------------ where values come from


def test_where(folder):
    cfg = child(
        folder,
        "_base_ = './base.py'\n\n"
        "model = dict(\n    backbone=dict(\n        depth=101),\n    neck=dict(_delete_=True, a=1))\n"
        "_base_.norm.type = 'GN'\n",
    )
    base, own = str(folder / "base.py"), str(folder / "child.py")
    assert cfg.where("model.backbone.depth") == Location(own, 5)
    assert cfg.where("model.backbone.type") == Location(base, 5)
    assert cfg.where("model.type") == Location(base, 3)
    assert cfg.where("model.neck.a") == Location(own, 6)
    assert cfg.where("norm.type") == Location(own, 7)
    assert cfg.where("pipeline.1.scale.0") == Location(base, 9)
    assert str(cfg.where("batch")) == f"{base}:10"
    cfg.merge_from_dict({"model.backbone.depth": 18, "pipeline.0.x": 1})
    assert str(cfg.where("model.backbone.depth")) == str(cfg.where("pipeline.0.x")) == "--cfg-options"
    assert cfg.where("model.backbone.type") == Location(base, 5)
    for same in (copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg)), cfg.copy()):
        assert same.where("model.type") == Location(base, 3)
    cfg.batch = 3
    assert cfg.where("batch") is None
    with pytest.raises(KeyError, match=r"no value 'model\.bone'"):
        cfg.where("model.bone")


@pytest.mark.parametrize(
    ("suffix", "text"), [("yaml", "a:\n  b: 1\n  c:\n  - d: 2\n"), ("json", '{"a":\n{"b": 1,\n"c": [\n{"d": 2}]}}')]
)
def test_where_in_yaml_and_json(suffix, text, tmp_path):
    cfg = child(tmp_path, text, f"c.{suffix}")
    assert [cfg.where(path).line for path in ("a", "a.b", "a.c", "a.c.0.d")] == [1, 2, 3, 4]


def test_where_of_keys_with_dots(tmp_path):
    cfg = child(tmp_path, "a = {'x.y': 1,\n 'x': dict(y=2),\n 'x.y.z': 3}")
    assert cfg.where("a.x.y.z").line == 3
    assert cfg.where("a.x.y").line == 1


def test_marks_follow_assignments(tmp_path):
    cfg = child(tmp_path, "d = dict(a=1)\nd['b'] = 2\nd.update(\n    c=3)\nd |= dict(e=4)\nf = dict(\n    **d, g=1)\n")
    assert [cfg.where(f"d.{key}").line for key in "abce"] == [1, 2, 4, 5]
    assert [cfg.where(f"f.{key}").line for key in "abceg"] == [1, 2, 4, 5, 7]


# ------------------------------------------------------------------ the objects


def test_attributes_and_items(folder):
    cfg = Config.fromfile(folder / "base.py")
    assert isinstance(cfg.model.backbone, ConfigDict)
    assert isinstance(cfg.pipeline[0], ConfigDict)
    assert cfg["model"]["backbone"]["depth"] == cfg.model.backbone.depth == 50
    cfg.model.backbone.extra = dict(a=[dict(b=1)])
    assert cfg.model.backbone.extra.a[0].b == 1
    cfg.new = dict(a=1)
    assert cfg.new.a == 1
    assert cfg.get("nothing", dict(a=1)).a == 1
    assert cfg.setdefault("made", dict(a=2)).a == cfg.made.a == 2
    assert cfg.pop("made") == dict(a=2)
    del cfg.new
    del cfg["batch"]
    assert "new" not in cfg
    assert (len(cfg), list(cfg), list(cfg.keys())) == (3, ["norm", "model", "pipeline"], ["norm", "model", "pipeline"])
    assert {**cfg.model.backbone}["depth"] == 50
    assert hasattr(cfg.model, "head")
    assert not hasattr(cfg.model, "neck")


def test_missing_attribute_names_the_nearest(folder):
    cfg = Config.fromfile(folder / "base.py")
    with pytest.raises(AttributeError, match="no key 'backbne'; did you mean 'backbone'"):
        _ = cfg.model.backbne
    with pytest.raises(AttributeError, match="did you mean 'batch'"):
        _ = cfg.batsh
    with pytest.raises(KeyError):
        cfg["batsh"]


def test_update_merges_nested_dicts():
    cfg = ConfigDict(a=dict(b=1, c=2), d=1)
    cfg.update(dict(a=dict(b=3)), d=dict(e=1))
    assert cfg == dict(a=dict(b=3, c=2), d=dict(e=1))
    cfg.update(a=dict(_delete_=True, z=1))
    assert cfg.a == dict(z=1)


def test_copies_are_of_their_own(folder):
    cfg = Config.fromfile(folder / "base.py")
    shallow, deep, pickled = cfg.copy(), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))
    assert cfg == shallow == deep == pickled
    assert isinstance(pickled.model.backbone, ConfigDict)
    shallow.batch = 1
    deep.model.backbone.depth = 1
    assert cfg.batch == 8
    assert cfg.model.backbone.depth == 50
    assert (pickled.filename, pickled.text) == (cfg.filename, cfg.text)
    plain = cfg.to_dict()
    assert type(plain["model"]["backbone"]) is dict
    assert type(plain["pipeline"][0]) is dict


def test_own_input_is_not_touched():
    given = dict(a=dict(b=1), l=[dict(c=1)])
    cfg = Config(given)
    cfg.a.b = 2
    cfg.l[0].c = 2
    assert given == dict(a=dict(b=1), l=[dict(c=1)])


@pytest.mark.parametrize("key", ["filename", "text", "pretty_text", "env_variables"])
def test_reserved_keys(key, folder):
    with pytest.raises(ConfigError, match=rf"child\.py:1: the key '{key}'"):
        child(folder, f"{key} = 1")
    with pytest.raises(ConfigError, match=key):
        Config()[key] = 1


def test_text_and_filename(folder):
    cfg = child(folder, "_base_ = './base.py'\na = 1")
    assert cfg.text.startswith(BASE)
    assert cfg.text.endswith("a = 1")
    assert cfg.filename == str(folder / "child.py")
    assert repr(cfg).startswith(f"Config (path: {cfg.filename}): {{'norm'")


def test_merge_from_dict(folder):
    cfg = Config.fromfile(folder / "base.py")
    cfg.merge_from_dict(
        {"model.backbone.depth": 18, "pipeline.1.scale": (8, 8), "new.a.b": 1, "norm": dict(_delete_=True, x=1)}
    )
    assert (cfg.model.backbone.depth, cfg.pipeline[1].scale, cfg.new.a.b, cfg.norm) == (18, (8, 8), 1, dict(x=1))
    before = cfg.to_dict()
    for wrong in ({"batch.x": 1}, {"pipeline.2.x": 1}, {"pipeline.a": 1}, {"batch": 5, "model.type.x": 1}):
        with pytest.raises(ConfigError, match=r"^--cfg-options: "):
            cfg.merge_from_dict(wrong)
    with pytest.raises(ConfigError, match="pipeline is a dict here but a list in the base"):
        cfg.merge_from_dict({"pipeline.0.type": "X"}, allow_list_keys=False)
    assert cfg.to_dict() == before


def test_diff():
    old, new = Config(dict(b=1, a=dict(x=1))), Config(dict(a=dict(x=2), b=1))
    assert Config.diff(old, old) == ""
    lines = Config.diff(old, new).splitlines()
    assert [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-a = dict(x=1)",
        "+a = dict(x=2)",
    ]


def test_auto_argparser(folder, monkeypatch):
    argv = ["tool", str(folder / "base.py"), "--batch", "4", "--model.backbone.depth", "18"]
    monkeypatch.setattr(sys, "argv", argv)
    parser, cfg = Config.auto_argparser("a tool")
    args = vars(parser.parse_args())
    assert (args["batch"], args["model.backbone.depth"], args["model.type"]) == (4, 18, "Net")
    assert cfg.batch == 8


def test_deprecated_config_warns(folder):
    (folder / "old.py").write_text("_deprecation_ = dict(expected='new.py', reference='the notes')\na = 1")
    with pytest.warns(DeprecationWarning, match=r"old\.py is deprecated, use new\.py; see the notes"):
        cfg = Config.fromfile(folder / "old.py")
    assert cfg.to_dict() == {"a": 1}


def test_importing_is_light():
    """YAML and the like are imported where they are used."""
    code = "import sys, visuite.engine.config; print([m for m in ('yaml', 'rich', 'fsspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------ trusted files


def test_trusted_file_is_python(folder):
    source = (
        "_base_ = './base.py'\n"
        "import os.path as osp\n"
        "def double(x):\n    return 2 * x\n"
        "size = double({{_base_.batch}})\n"
        "name = '{{fileBasename}}' + osp.basename('/a/b')\n"
        "model = dict(\n    backbone=dict(depth=double(9)))\n"
        "_base_.norm.type = 'GN'\n"
    )
    (folder / "child.py").write_text(source)
    with pytest.raises(ConfigError, match=r"child\.py:3: a config has no def.*trusted=True"):
        Config.fromfile(folder / "child.py")
    cfg = Config.fromfile(folder / "child.py", trusted=True)
    assert (cfg.size, cfg.name, cfg.model.backbone.depth, cfg.norm.type) == (16, "child.pyb", 18, "GN")
    assert set(cfg) == {"norm", "model", "pipeline", "batch", "size", "name"}
    assert cfg.where("model.backbone.depth").line == 8
    assert cfg.where("model.type").file.endswith("base.py")


def test_error_in_trusted_file_has_its_line(folder):
    (folder / "child.py").write_text("a = 1\nb = a / 0\n")
    with pytest.raises(ConfigError, match=r"child\.py:2: ZeroDivisionError"):
        Config.fromfile(folder / "child.py", trusted=True)
