"""What the check says about configs with one fault each; the faultless one is the first test."""

from __future__ import annotations

import importlib.util
import pickle
import sys

import pytest

from visuite.engine.check import ConfigCheckError, check_config, stop_on_errors
from visuite.engine.config import Config
from visuite.engine.registry import ROOTS

GOOD = """\
custom_imports = dict(imports=["tests.engine.runner.toy", "tests.engine.check.parts"])
epochs, classes, data_root = 4, ["a", "b"], "data/"
train_pipeline = [dict(type="CheckedRename", mapping=dict(a="b")), dict(type="Compose", transforms=[])]
model = dict(
    type="CheckedNet", width=4,
    backbone=dict(type="CheckedBackbone", depth=3, init_cfg=[dict(type="Constant", layer="Linear", val=1)]),
)
train_dataloader = dict(
    batch_size=4, num_workers=0,
    dataset=dict(type="RepeatDataset", times=2, dataset=dict(type="BaseDataset", pipeline=train_pipeline)),
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
)
train_cfg = dict(by_epoch=True, max_epochs=epochs)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1), paramwise_cfg=dict(norm_decay_mult=0.0))
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, begin=0, end=5),
    dict(type="MultiStepLR", by_epoch=True, milestones=[2, 3]),
]
val_dataloader = dict(dataset=dict(type="ToyData"), collate_fn=dict(type="default_collate"))
val_cfg = dict()
val_evaluator = [dict(type="ToyAccuracy")]
default_hooks = dict(logger=dict(type="LoggerHook", interval=2), timer=None)
custom_hooks = [dict(type="EMAHook", momentum=0.01, priority="HIGH")]
randomness = dict(seed=1)
visualizer = dict(vis_backends=[dict(type="LocalVisBackend")])
env_cfg = dict(cudnn_benchmark=False)
"""


def checked(tmp_path, text):
    path = tmp_path / "config.py"
    path.write_text(text)
    return check_config(Config.fromfile(path))


def test_a_faultless_config(tmp_path):
    assert checked(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ('"CheckedNet", width', '"CheckedNet", widht', "model", "no argument 'widht'; did you mean 'width'"),
        ('"CheckedNet"', '"ChekedNet"', "model", "'ChekedNet' is not a registered model"),
        ("depth=3", "depht=3", "model.backbone", "CheckedBackbone has no argument 'depht'; did you mean 'depth'"),
        ("depth=3, ", "", "model.backbone", "CheckedBackbone needs 'depth'"),
        ('"Constant", layer', '"Constnat", layer', "model.backbone.init_cfg.0", "did you mean 'Constant'"),
        ("val=1", "value=1", "model.backbone.init_cfg.0", "has no argument 'value'"),
        ("times=2", "time=2", "train_dataloader.dataset", "RepeatDataset has no argument 'time'; did you mean 'times'"),
        ("mapping=dict", "maping=dict", "train_dataloader.dataset.dataset.pipeline.0", "did you mean 'mapping'"),
        ('"BaseDataset"', '"BaseDatset"', "train_dataloader.dataset.dataset", "did you mean 'BaseDataset'"),
        ("shuffle=True", "shufle=True", "train_dataloader.sampler", "has no argument 'shufle'; did you mean 'shuffle'"),
        ("num_workers=0", "num_worker=0", "train_dataloader", "no argument 'num_worker'; did you mean 'num_workers'"),
        ('"default_collate"),\n)\ntrain', '"default_colate"),\n)\ntrain', "train_dataloader.collate_fn", "did you"),
        ("by_epoch=True, max", "max", "train_cfg", "takes either 'type' or 'by_epoch'"),
        ("max_epochs=epochs", "max_epoch=epochs", "train_cfg", "did you mean 'max_epochs'"),
        ("lr=0.1", "lr=0.1, momentun=0.9", "optim_wrapper.optimizer", "did you mean 'momentum'"),
        ("norm_decay_mult", "norm_decay_mul", "optim_wrapper.paramwise_cfg", "has no 'norm_decay_mul'"),
        ("optimizer=dict(type", "optimiser=dict(type", "optim_wrapper", "needs the key 'optimizer'"),
        ("milestones=[2, 3]", "milestone=[2, 3]", "param_scheduler.1", "did you mean 'milestones'"),
        ('[dict(type="ToyAccuracy")]', 'dict(type="ToyAcuracy")', "val_evaluator", "did you mean 'ToyAccuracy'"),
        ("interval=2", "intervall=2", "default_hooks.logger", "did you mean 'interval'"),
        ('dict(type="LoggerHook", interval=2)', "dict(interval=2)", "default_hooks.logger", "needs the key 'type'"),
        ('"EMAHook"', '"EmaHook"', "custom_hooks.0", "did you mean 'EMAHook'"),
        ("seed=1", "sed=1", "randomness", "randomness has no argument 'sed'; did you mean 'seed'"),
        ('"LocalVisBackend"', '"LocalVisBackends"', "visualizer.vis_backends.0", "did you mean 'LocalVisBackend'"),
        ("val_cfg = dict()", "", "", "validation needs val_dataloader, val_cfg, val_evaluator"),
        ('"tests.engine.check.parts"', '"tests.engine.check.prts"', "custom_imports", "cannot import"),
        ("randomness =", 'default_scope = "sge"\nrandomness =', None, None),
    ],
)  # fmt: skip
def test_one_fault(tmp_path, old, new, path, message):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = [one for one in checked(tmp_path, text) if one.severity == "error"]
    if path is None:  # a scope that nobody has is a place of its own, not a fault
        assert found == []
        return
    assert any(one.path == path and message in one.message for one in found), found
    fault = next(one for one in found if message in one.message)
    first = new.splitlines()[:1]
    lines = [number for number, line in enumerate(text.splitlines(), 1) if first and first[0] in line]
    assert fault.where.file.endswith("config.py")
    if lines and path:
        assert abs(fault.where.line - lines[0]) <= 3  # the line of the key, or of the part that has it


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("randomness = ", "randomnes = ", "randomnes", "did you mean 'randomness'?"),
        ("milestones=[2, 3]", "milestones=[2, 9]", "param_scheduler.1", "milestones [9] are never reached"),
        ("milestones=[2, 3]", "milestones=[2], end=3", "param_scheduler.1", "ends after 3 of 4 epochs"),
        ("milestones=[2, 3]", "milestones=[2], begin=7", "param_scheduler.1", "begins after 7 epochs"),
        ('"MultiStepLR", by_epoch=True, milestones=[2, 3]', '"CosineAnnealingLR", T_max=2',
         "param_scheduler.1", "T_max=2 is shorter than the schedule, which goes to 4 epochs: the value rises again"),
        ("max_epochs=epochs", "max_epochs=epochs, val_interval=9", "train_cfg.val_interval", "every 9 epochs"),
        ("max_epochs=epochs", "max_epochs=epochs, val_begin=9", "train_cfg.val_begin", "never comes"),
        ("by_epoch=True, max_epochs", "by_epoch=False, max_iters", "param_scheduler.1", "it does nothing"),
        ("cudnn_benchmark", "cudnn_benchmarc", "env_cfg.cudnn_benchmarc", "did you mean 'cudnn_benchmark'?"),
        ("logger=", "loger=", "default_hooks.loger", "did you mean 'logger'?"),
        ("depth=3", "depth='3'", "model.backbone.depth", "is '3', not int"),  # of a class of the user's
        ("randomness =", "lr_config = dict(policy='step')\nrandomness =", "lr_config", "now it is param_scheduler"),
    ],
)  # fmt: skip
def test_what_was_probably_meant_otherwise(tmp_path, old, new, path, message):
    found = checked(tmp_path, GOOD.replace(old, new, 1))
    assert [(one.severity, one.path) for one in found] == [("warning", path)]
    assert message in found[0].message


def test_a_variable_that_has_no_effect(tmp_path):
    (tmp_path / "base.py").write_text(GOOD)
    override = "_base_ = 'base.py'\ntrain_pipeline = [dict(type='CheckedRename', mapping=dict(c='d'))]\n"
    found = checked(tmp_path, override)
    assert [(one.severity, one.path, one.where.line) for one in found] == [("warning", "train_pipeline", 2)]
    used = override + "train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))\n"
    assert checked(tmp_path, used) == []
    # What the base leaves behind is no slip of this file.
    own = "_base_ = 'base.py'\ntrain_dataloader = dict(dataset=dict(dataset=dict(pipeline=[])))\n"
    assert checked(tmp_path, own) == []


def test_one_fault_behind_several_keys_is_told_once(tmp_path):
    text = GOOD.replace('dict(type="ToyData")', 'dict(type="ToyDta")')
    text += "test_dataloader = val_dataloader\ntest_cfg = dict()\ntest_evaluator = val_evaluator\n"
    assert [one.path for one in checked(tmp_path, text)] == ["val_dataloader.dataset"]


def test_a_part_may_read_a_type_itself(tmp_path):
    text = GOOD.replace("mapping=dict(a=", 'mapping=dict(type="own", a=')
    assert checked(tmp_path, text) == []


@pytest.fixture
def absent_cls(monkeypatch):
    """Let no process find visuite.cls, as where it is not installed."""
    for name in [one for one in sys.modules if one == "visuite.cls" or one.startswith("visuite.cls.")]:
        monkeypatch.delitem(sys.modules, name)
    for registry in ROOTS.values():
        monkeypatch.setattr(registry, "_children", {k: v for k, v in registry._children.items() if k != "cls"})
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "visuite.cls" else find(name))


@pytest.mark.parametrize(
    ("old", "new", "path", "line"),
    [
        ("depth=3", "depth=3, _scope_='mmpretrain'", "model.backbone", 6),
        ('"CheckedBackbone"', '"cls.CheckedBackbone"', "model.backbone", 6),
        ("randomness =", "default_scope = 'cls'\nrandomness =", "default_scope", 25),
    ],
)
def test_a_scope_that_is_not_installed_is_one_fault(tmp_path, absent_cls, old, new, path, line):
    (found,) = checked(tmp_path, GOOD.replace(old, new, 1))
    assert (found.severity, found.path, found.where.line) == ("error", path, line)
    scope = "mmpretrain" if "_scope_" in new else "cls"
    assert found.message == f"scope '{scope}' needs a package that is not installed: pip install visuite-cls"


def test_stopping_names_all_errors(tmp_path, capsys):
    (tmp_path / "config.py").write_text(
        GOOD.replace("depth=3", "dept=3").replace("times=2", "time=2").replace("milestones=[2, 3]", "milestones=[2, 9]")
    )
    with pytest.raises(ConfigCheckError) as caught:
        stop_on_errors(Config.fromfile(tmp_path / "config.py"))
    text = str(caught.value)
    assert text.startswith("4 errors in the config\n")  # both classes also lack what was misspelt
    assert "config.py:6: model.backbone: CheckedBackbone has no argument 'dept'" in text
    assert str(pickle.loads(pickle.dumps(caught.value))) == text
    assert "warning: " in capsys.readouterr().err


def test_stopping_lets_a_good_config_pass(tmp_path, capsys):
    (tmp_path / "config.py").write_text(GOOD)
    stop_on_errors(Config.fromfile(tmp_path / "config.py"))
    assert capsys.readouterr().err == ""
