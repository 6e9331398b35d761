"""New-style configs, whose bases are imported and whose imports stay references."""

from __future__ import annotations

import copy
import pickle
import sys

import pytest
import torch

from visuite.engine.config import Config, ConfigError, LazyObject

BASE = """\
from torch.nn import Conv2d
import torch.optim as optim
from never_installed.models import Net
_private = 3
model = dict(type=Net, backbone=dict(type='A', depth=3), conv=Conv2d)
optimizer = dict(type=optim.SGD, lr=0.1)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "base.py").write_text(BASE)
    return tmp_path


def load(folder, text: str) -> Config:
    (folder / "child.py").write_text(text)
    return Config.fromfile(folder / "child.py")


def test_imports_stay_references(folder):
    cfg = Config.fromfile(folder / "parts" / "base.py")
    assert set(cfg) == {"_private", "model", "optimizer"}
    assert isinstance(cfg.model.type, LazyObject)
    assert cfg.to_dict()["model"] == {
        "type": "never_installed.models.Net",
        "backbone": {"type": "A", "depth": 3},
        "conv": "torch.nn.Conv2d",
    }
    assert type(cfg.to_dict()["model"]["type"]) is str
    assert "never_installed" not in sys.modules


def test_a_reference_is_built_on_demand(folder):
    cfg = Config.fromfile(folder / "parts" / "base.py")
    assert cfg.model.conv.build() is torch.nn.Conv2d
    assert cfg.optimizer.type.build() is torch.optim.SGD
    with pytest.raises(ImportError, match=r"never_installed\.models\.Net"):
        cfg.model.type.build()


def test_references_survive_copies_and_printing(folder):
    cfg = Config.fromfile(folder / "parts" / "base.py")
    for same in (copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
        assert isinstance(same.model.type, LazyObject)
        assert same == cfg
    assert Config.fromstring(cfg.pretty_text, ".py") == cfg
    assert f"{cfg.model.type}" == "never_installed.models.Net"


def test_read_base(folder):
    cfg = load(
        folder,
        "from visuite.engine.config import read_base\n"
        "with read_base():\n    from .parts.base import *\n    from .parts.base import model as other, _private\n"
        "model.update(dict(backbone=dict(depth=5)))\n"
        "optimizer = dict(lr=1)\n"
        "kind = Net\n"
        "depth = model.backbone.depth\n",
    )
    assert cfg.model.backbone == dict(type="A", depth=5)
    assert cfg.optimizer == dict(lr=1)  # assigned, not merged
    assert cfg.other.backbone.depth == 3
    assert (cfg.kind, cfg.depth, cfg._private) == ("never_installed.models.Net", 5, 3)
    assert cfg.where("model.backbone.depth").file.endswith("child.py")
    assert cfg.where("model.backbone.type").file.endswith("base.py")
    assert "read_base" not in cfg


def test_read_base_upwards(folder):
    (folder / "parts" / "up.py").write_text("with read_base():\n    from ..top import a\nb = a")
    (folder / "top.py").write_text("a = 1\nz = 2")
    assert Config.fromfile(folder / "parts" / "up.py").to_dict() == {"a": 1, "b": 1}


def test_plain_dicts_of_the_file_update_flatly(folder):
    cfg = load(
        folder, "with read_base():\n    from .parts.base import model\nm = dict(a=dict(b=1))\nm.update(a=dict(c=2))"
    )
    assert cfg.m == dict(a=dict(c=2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "with read_base():\n    from .parts.bas import *",
            r"child\.py:2: .*bas\.py: no such config; did you mean 'base\.py'",
        ),
        ("with read_base():\n    from .parts.base import nothing", r"child\.py:2: \.parts\.base sets no 'nothing'"),
        (
            "with read_base():\n    from no_package.configs.x import *",
            r"child\.py:2: no_package::x\.py: no installed package",
        ),
        ("from .parts import base", r"child\.py:1: other configs are imported inside"),
        ("from torch.nn import Conv2d\na = Conv2d(3, 3, 1)", r"child\.py:2: a config calls only plain functions"),
        (
            "from torch.nn import Conv2d\na = Conv2d.__init__",
            r"child\.py:2: a config may not use the attribute '__init__'",
        ),
    ],
)
def test_faults(text, message, folder):
    with pytest.raises(ConfigError, match=message):
        load(folder, text)


def test_old_style_files_do_not_import(folder):
    (folder / "child.py").write_text("from torch.nn import Conv2d\na = 1")
    with pytest.raises(ConfigError, match=r"child\.py:1: a config does not import 'torch\.nn'"):
        Config.fromfile(folder / "child.py", lazy_import=False)
    with pytest.raises(ConfigError, match=r"child\.py:2: a config does not import"):
        load(folder, "_base_ = 'parts/base.py'\nfrom torch.nn import Conv2d")


def test_trusted_new_style(folder):
    (folder / "parts" / "base.py").write_text("a = dict(b=1)")
    (folder / "child.py").write_text(
        "from visuite.engine.config import read_base\nwith read_base():\n    from .parts.base import *\na.c = max(2, 1)"
    )
    assert Config.fromfile(folder / "child.py", trusted=True).to_dict() == {"a": {"b": 1, "c": 2}}
