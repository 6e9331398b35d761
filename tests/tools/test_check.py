"""The tools that look at configs."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from visuite.engine.cli import EXIT_CONFIG
from visuite.engine.config import Config

TOOLS = Path(__file__).parents[2] / "tools"
BASE = """\
custom_imports = dict(imports=["tests.engine.runner.toy"])
model = dict(type="ToyNet", width=4)
train_dataloader = dict(batch_size=4, dataset=dict(type="ToyData"), collate_fn=dict(type="default_collate"))
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
tags = [dict(name="a", sizes=(1, 2)), dict()]
"""
LEAF = """\
_base_ = "base.py"
model = dict(width=6)
train_cfg = dict(by_epoch=True, max_epochs=1)
"""


@pytest.fixture
def tool(monkeypatch, tmp_path, capsys):
    """Run a tool as its main program in a folder with a config; return its exit code and what it prints."""
    monkeypatch.chdir(tmp_path)
    Path("base.py").write_text(BASE)
    Path("leaf.py").write_text(LEAF)

    def run(name: str, *args: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", [name, *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(TOOLS / name), run_name="__main__")
        return (caught.value.code or 0, *capsys.readouterr())

    return run


def test_check_a_good_config(tool, tmp_path):
    code, out, err = tool("check.py", "leaf.py", "--data", "required")
    assert (code, out, err) == (0, "leaf.py: nothing to tell\n", "")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["base.py", "leaf.py"]


def test_check_tells_place_fault_and_nearest(tool):
    Path("leaf.py").write_text(LEAF.replace("width", "widht") + "resum = True\n")
    code, out, _ = tool("check.py", "leaf.py")
    assert code == EXIT_CONFIG
    lines = out.splitlines()
    assert lines[0].startswith("warning: ")
    assert lines[0].endswith("leaf.py:4: resum: nobody reads 'resum'; did you mean 'resume'?")
    assert lines[1].startswith("error: ")
    assert lines[1].endswith("leaf.py:2: model: ToyNet has no argument 'widht'; did you mean 'width'?")
    assert lines[2] == "leaf.py: 1 warning, 1 error"


def test_check_can_be_strict(tool):
    Path("leaf.py").write_text(LEAF + "resum = True\n")
    assert tool("check.py", "leaf.py", "--data", "skip")[0] == 0
    assert tool("check.py", "leaf.py", "--data", "skip", "--strict")[0] == EXIT_CONFIG


def test_check_takes_options(tool):
    code, out, _ = tool("check.py", "leaf.py", "--data", "skip", "--cfg-options", "model.depth=3")
    assert code == EXIT_CONFIG
    assert "--cfg-options: model: ToyNet has no argument 'depth'" in out


def test_training_stops_on_errors_before_anything_is_made(tool, tmp_path):
    Path("leaf.py").write_text(LEAF.replace("width", "widht").replace("max_epochs", "max_epoch"))
    code, _, err = tool("train.py", "leaf.py")
    assert code == EXIT_CONFIG
    assert err.splitlines()[0] == "error: 3 errors in the config"
    assert "leaf.py:2: model: ToyNet has no argument 'widht'" in err
    assert "leaf.py:3: train_cfg: EpochBasedTrainLoop has no argument 'max_epoch'" in err
    assert not (tmp_path / "work_dirs").exists()


def test_print_a_config_that_loads_back(tool):
    code, out, _ = tool("print_config.py", "leaf.py", "--cfg-options", "train_cfg.max_epochs=3")
    assert code == 0
    assert Config.fromstring(out, ".py").to_dict() == {
        **Config.fromfile("leaf.py").to_dict(), "train_cfg": dict(by_epoch=True, max_epochs=3)
    }  # fmt: skip


def test_print_where_each_value_was_set(tool):
    code, out, _ = tool("print_config.py", "leaf.py", "--sources", "--cfg-options", "train_cfg.max_epochs=3")
    assert code == 0
    lines = dict(line.split("  # ") for line in out.splitlines())
    told = {key.strip(): place for key, place in lines.items()}
    assert told["model.type = 'ToyNet'"] == "base.py:2"
    assert told["model.width = 6"] == "leaf.py:2"
    assert told["train_cfg.by_epoch = True"] == "leaf.py:3"
    assert told["train_cfg.max_epochs = 3"] == "--cfg-options"
    assert told["optim_wrapper.optimizer.lr = 0.1"] == "base.py:4"
    assert told["tags.0.sizes = (1, 2)"] == "base.py:5"
    assert told["tags.1 = {}"] == "base.py:5"
    assert len(told) == 13


def test_print_tells_a_bad_config_in_one_line(tool):
    code, _, err = tool("print_config.py", "laef.py")
    assert code == EXIT_CONFIG
    assert len(err.splitlines()) == 1
    assert "leaf.py" in err


def test_printing_needs_no_torch(tool):
    code = f"import runpy, sys; runpy.run_path({str(TOOLS / 'print_config.py')!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_checking_does_not_wait_for_torchvision() -> None:
    script = TOOLS / "check.py"
    code = (
        "import runpy, sys; sys.argv = ['check.py', 'configs/cls/resnet_shapes.py', '--data', 'skip']\n"
        f"try:\n    runpy.run_path({str(script)!r}, run_name='__main__')\nexcept SystemExit:\n    pass\n"
        "print('torchvision' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOOLS.parent)
    assert run.stdout.splitlines()[-1] == "False"
