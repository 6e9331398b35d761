from __future__ import annotations

import sys

import pytest

from visuite.engine.config import Config, ConfigError, import_modules_from_strings
from visuite.engine.config.imports import our_module


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A user's module that leaves a trace when it is imported."""
    (tmp_path / "my_plugin_x.py").write_text("loaded = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_plugin_x"
    sys.modules.pop("my_plugin_x", None)


def test_loading_does_not_import(plugin):
    cfg = Config.fromstring(f"custom_imports = dict(imports=['{plugin}'], allow_failed_imports=False)", ".py")
    assert plugin not in sys.modules
    (module,) = cfg.import_custom_modules()
    assert module.loaded
    assert Config(dict(a=1)).import_custom_modules() is None


def test_old_names_are_ours():
    assert our_module("mmengine.config") == "visuite.engine.config"
    assert our_module("mmengine.no_such_part.deeper") == "visuite.engine"
    assert our_module("mmcls") == "visuite.cls"
    assert our_module("my.own") == "my.own"
    assert import_modules_from_strings("mmengine.config") is sys.modules["visuite.engine.config"]


def test_failing_imports():
    with pytest.raises(ImportError, match="cannot import 'no_such_module_x'"):
        import_modules_from_strings(["no_such_module_x"])
    with pytest.warns(UserWarning, match="no_such_module_x"):
        assert import_modules_from_strings(["no_such_module_x"], allow_failed_imports=True) == [None]
    with pytest.raises(TypeError, match="3 is int"):
        import_modules_from_strings([3])


def test_faulty_custom_imports():
    cfg = Config.fromstring("a = 1\ncustom_imports = dict(modules=['x'])", ".py")
    with pytest.raises(ConfigError, match=r"<string>\.py:2: custom_imports is dict"):
        cfg.import_custom_modules()
