"""The training and testing tools: switches, exit codes, one-line errors."""

from __future__ import annotations

import pickle
import runpy
from pathlib import Path

import pytest
import torch

from visuite.engine.cli import EXIT_CHECKPOINT, EXIT_CONFIG, EXIT_DATA, what_a_run_left

TOOLS = Path(__file__).parents[2] / "tools"
CONFIG = """
custom_imports = dict(imports=["tests.engine.runner.toy"])
loader = dict(
    batch_size=4,
    dataset=dict(type="ToyData"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
)
model = dict(type="ToyNet")
train_dataloader = loader
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
val_dataloader = dict(batch_size=5, dataset=dict(type="ToyData"), collate_fn=dict(type="default_collate"))
val_cfg = dict()
val_evaluator = dict(type="ToyAccuracy")
test_dataloader = val_dataloader
test_cfg = dict()
test_evaluator = val_evaluator
default_hooks = dict(logger=dict(type="LoggerHook", interval=2), checkpoint=dict(type="CheckpointHook", interval=1))
"""


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Run a tool as its main program, from an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *args: object) -> None:
        monkeypatch.setattr("sys.argv", [name, *map(str, args)])
        runpy.run_path(str(TOOLS / name), run_name="__main__")

    return run


def failure(tool, capsys, *args: object) -> tuple[int, str]:
    """Return the exit code and the one line of a failing call."""
    with pytest.raises(SystemExit) as caught:
        tool(*args)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return caught.value.code, lines[0]


def test_training_testing_and_resuming(tool, config, capsys):
    tool("train.py", config)
    work = Path("work_dirs/toy")
    assert sorted(p.name for p in work.glob("*.pth")) == ["epoch_1.pth", "epoch_2.pth"]
    assert (work / "toy.py").is_file()
    plain = capsys.readouterr().out
    assert "Epoch(train) [1][2/5]" in plain
    assert "loss:" in plain
    assert "eta:" in plain
    assert "\r" not in plain  # standard output is no terminal

    tool("test.py", config, work / "epoch_2.pth", "--out", "out.pkl")
    assert "toy/accuracy" in capsys.readouterr().out
    assert len(pickle.loads(Path("out.pkl").read_bytes())) == 20

    tool("train.py", config, "--resume", "--cfg-options", "train_cfg.max_epochs=3")
    assert (work / "epoch_3.pth").is_file()
    tool("train.py", config, "--resume", work / "epoch_1.pth", "--work-dir", "elsewhere")
    assert sorted(p.name for p in Path("elsewhere").glob("*.pth")) == ["epoch_2.pth"]


def test_switches(tool, config, capsys):
    tool("train.py", config, "--amp", "--no-validate", "--seed", 5, "--work-dir", "w", "--auto-scale-lr",
         "--cfg-options", "auto_scale_lr.base_batch_size=8", "model.width=3")  # fmt: skip
    saved = torch.load("w/epoch_2.pth", weights_only=True)
    assert saved["meta"]["seed"] == 5
    assert saved["state_dict"]["net.0.weight"].shape == (3, 4)
    assert saved["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0.05)
    assert "AmpOptimWrapper" in saved["meta"]["cfg"]
    assert "toy/accuracy" not in capsys.readouterr().out


@pytest.mark.parametrize(("dtype", "scaled"), [("float16", True), ("bfloat16", False), (None, False)])
def test_mixed_precision_resumes_with_its_scale(tool, config, dtype, scaled):
    setting = f"optim_wrapper = dict(dtype={dtype!r}, loss_scale=dict(init_scale=16.0, growth_interval=3), "
    config.write_text(CONFIG.replace("optim_wrapper = dict(", setting))
    tool("train.py", config, "--amp", "--seed", 5, "--work-dir", "whole")
    tool("train.py", config, "--amp", "--seed", 5, "--work-dir", "parts", "--resume", "whole/epoch_1.pth")
    whole, parts = (torch.load(f"{name}/epoch_2.pth", weights_only=True) for name in ("whole", "parts"))
    assert whole["optimizer"]["loss_scaler"] == parts["optimizer"]["loss_scaler"]
    assert bool(whole["optimizer"]["loss_scaler"]) == scaled
    if scaled:
        assert whole["optimizer"]["loss_scaler"]["scale"] == 16.0 * 2**3  # doubled after each third of 10 steps
    for name, value in whole["state_dict"].items():
        assert value.dtype in (torch.float32, torch.int64)
        assert torch.equal(value, parts["state_dict"][name]), name


@pytest.mark.parametrize(
    ("wrapper", "words"),
    [
        ('optim_wrapper = dict(type="MyWrapper", optimizer', "is 'MyWrapper'"),
        ('optim_wrapper = dict(constructor="ByPart", judge', "without an optimizer of its own"),
    ],
)
def test_mixed_precision_replaces_no_other_wrapper(tool, config, capsys, wrapper, words):
    config.write_text(CONFIG.replace("optim_wrapper = dict(optimizer", wrapper))
    code, line = failure(tool, capsys, "train.py", config, "--amp")
    assert code == EXIT_CONFIG
    assert words in line
    assert "toy.py:12" in line


def test_what_test_time_augmentation_misses_is_one_line(tool, config, capsys):
    code, line = failure(tool, capsys, "test.py", config, "epoch_1.pth", "--tta")
    assert code == EXIT_CONFIG
    assert "test-time augmentation needs 'tta_model' in the config" in line


def test_no_such_config(tool, config, capsys):
    code, line = failure(tool, capsys, "train.py", config.with_name("tooy.py"))
    assert code == EXIT_CONFIG
    assert "tooy.py" in line
    assert "toy.py" in line.replace("tooy.py", "")  # the nearest file


@pytest.mark.parametrize(
    ("old", "new", "number", "message"),
    [
        ('type="ToyNet"', 'type="ToyNett"', 9, "model: 'ToyNett' is not a registered model"),
        ('type="ToyNet"', 'type="ToyNet", widht=3', 9, "model: ToyNet has no argument 'widht'; did you mean 'width'?"),
        ("train_cfg = dict(by_epoch=True, ", "train_cfg = dict(", 11, "train_cfg: takes either 'type' or 'by_epoch'"),
    ],
)
def test_faults_name_file_line_and_the_nearest(tool, config, capsys, old, new, number, message):
    config.write_text(CONFIG.replace(old, new))
    code, line = failure(tool, capsys, "train.py", config)
    assert code == EXIT_CONFIG
    assert message in line
    assert f"toy.py:{number}" in line


def test_no_such_data(tool, config, capsys):
    missing = 'dataset=dict(type="BaseDataset", ann_file="nowhere/ann.json")'
    config.write_text(CONFIG.replace('dataset=dict(type="ToyData")', missing))
    code, line = failure(tool, capsys, "train.py", config)
    assert code == EXIT_DATA
    assert "nowhere/ann.json" in line


def test_checkpoints_that_do_not_do(tool, config, capsys):
    code, line = failure(tool, capsys, "test.py", config, "missing.pth")
    assert code == EXIT_CHECKPOINT
    assert "missing.pth" in line
    torch.save({"state_dict": {f"other.{i}": torch.zeros(1) for i in range(100)}}, "other.pth")
    with pytest.raises(SystemExit) as caught:
        tool("test.py", config, "other.pth")
    assert caught.value.code == EXIT_CHECKPOINT
    summary = capsys.readouterr().err.strip()
    assert "other.pth does not fit ToyNet: 0 weights loaded, 8 not in the file, 100 not in the model" in summary
    assert len(summary.splitlines()) <= 3  # a summary, not a wall


def test_a_loop_without_a_runner_gives_the_same_losses(tmp_path, config):
    from visuite.engine.config import Config
    from visuite.engine.hooks import Hook
    from visuite.engine.runner import Runner

    losses = []

    class Losses(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            losses.append(float(outputs["loss"]))

    cfg = Config.fromfile(config)
    cfg.import_custom_modules()
    cfg.randomness = dict(seed=3)
    cfg.param_scheduler = [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=4),
        dict(type="StepLR", step_size=1, by_epoch=True),
    ]
    plain = [loss for *_, loss in runpy.run_path(str(TOOLS / "plain_train.py"))["train"](cfg)]
    cfg.work_dir = str(tmp_path / "work")
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Losses())
    runner.train()
    assert plain == losses
    assert len(losses) == 10


def test_training_ends_by_telling_what_it_left(tool, config, tmp_path, capsys) -> None:
    tool("train.py", config, "--work-dir", tmp_path / "run")
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[-2:])
    assert Path(told["log:"]).suffix == ".log"
    assert Path(told["log:"]).is_file()
    assert Path(told["checkpoint:"]).name == "epoch_2.pth"
    torch.load(told["checkpoint:"], weights_only=True)


def test_best_checkpoints_come_first_and_pictures_are_counted(tmp_path) -> None:
    log_dir = tmp_path / "run"
    for name in ("best_mAP_epoch_3.pth", "epoch_4.pth", "run/run.log", "run/vis_data/a.png", "run/vis_data/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    told = what_a_run_left(tmp_path, log_dir).splitlines()
    assert [line.split()[0] for line in told] == ["log:", "checkpoint:", "pictures:"]
    assert told[1].endswith("best_mAP_epoch_3.pth")
    assert told[2].endswith("a.png and 1 more beside it")
