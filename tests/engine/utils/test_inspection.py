from pathlib import Path

import pytest
import torch

from visuite.engine import utils


class Base:
    def run(self):
        return 1


class Changed(Base):
    def run(self):
        return 2


class Same(Base):
    size = 3


def test_methods():
    assert utils.has_method([], "append")
    assert not utils.has_method(Same(), "size")
    assert not utils.has_method(3, "none")
    assert utils.is_method_overridden("run", Base, Changed)
    assert utils.is_method_overridden("run", Base, Changed())
    assert not utils.is_method_overridden("run", Base, Same)
    with pytest.raises(TypeError, match="class"):
        utils.is_method_overridden("run", Base(), Changed)


def test_packages():
    assert utils.is_installed("torch")
    assert utils.is_installed("torch.nn")
    assert utils.is_installed("visuite-engine")
    assert not utils.is_installed("no_such_package.part")
    assert torch.__version__.startswith(utils.package_version("torch"))
    assert utils.package_version("no-such-package") is None
    assert Path(utils.get_installed_path("torch")) == Path(torch.__file__).parent
    assert Path(utils.get_installed_path("this")).name.startswith("python")
    with pytest.raises(ImportError, match="no_such_package"):
        utils.get_installed_path("no_such_package")


def test_names_mean_objects(tmp_path, monkeypatch):
    assert utils.get_object_from_string("torch.nn.Linear.forward") is torch.nn.Linear.forward
    assert utils.get_object_from_string("torch.nn") is torch.nn
    assert utils.get_object_from_string("torch.nn.NoSuchLayer") is None
    assert utils.get_object_from_string("no_such_package.Thing") is None
    (tmp_path / "broken_module.py").write_text("import no_such_package_inside")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package_inside"):
        utils.get_object_from_string("broken_module.Thing")
