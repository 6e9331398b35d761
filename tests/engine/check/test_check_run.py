from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest
from torch import nn

from tests.engine.check.test_check_config import GOOD
from visuite.engine.check import check_config, check_run, register_check, register_route
from visuite.engine.check import routes as routes_module
from visuite.engine.check import subject as subject_module
from visuite.engine.check.routes import Route
from visuite.engine.config import Config
from visuite.engine.registry import MODELS, TASK_UTILS

RUNS = """\
custom_imports = dict(imports=["tests.engine.runner.toy", "tests.engine.check.parts"])
model = dict(type="ToyNet", width=4)
train_dataloader = dict(batch_size=4, num_workers=2, dataset=dict(type="ToyData", size=9),
                        collate_fn=dict(type="default_collate"))
train_cfg = dict(by_epoch=True, max_epochs=4)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
val_dataloader = dict(batch_size=4, dataset=dict(type="ToyData"), collate_fn=dict(type="default_collate"))
val_cfg = dict()
val_evaluator = dict(type="ToyAccuracy")
"""


def run(tmp_path, old="", new="", **kwargs):
    assert old in RUNS
    path = tmp_path / "config.py"
    path.write_text(RUNS.replace(old, new, 1) if old else RUNS)
    return [(one.severity, one.path, one.message) for one in check_run(Config.fromfile(path), **kwargs)]


def test_a_config_that_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path) == []
    assert [one.name for one in tmp_path.iterdir()] == ["config.py"]  # a check writes nothing


def test_absent_data_is_a_note_or_an_error(tmp_path):
    absent = dict(old='dict(type="ToyData", size=9)', new='dict(type="Absent", root="far")')
    told = ("train_dataloader.dataset", "the data is not there: no folder far")
    assert run(tmp_path, **absent) == [("note", *told)]
    assert run(tmp_path, **absent, data="required") == [("error", *told)]
    assert run(tmp_path, **absent, data="skip") == []


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("width=4", "width=-4", "model", "negative"),
        ("size=9", "size=-9", "train_dataloader", "negative"),
        ("batch_size=4, num", "batch_size=10, drop_last=True, num", "train_dataloader", "gives no batch"),
        ('"default_collate"))\ntrain', '"pseudo_collate"))\ntrain', "model", "Error: "),
        ("lr=0.1", "lr=-0.1", "model", "learning rate"),
    ],
)
def test_what_only_building_and_running_tells(tmp_path, old, new, path, message):
    found = run(tmp_path, old, new)
    assert [(severity, where) for severity, where, _ in found] == [("error", path)]
    assert message in found[0][2]


def test_nothing_is_built_of_a_config_with_errors(tmp_path):
    found = run(tmp_path, '"ToyNet", width=4', '"ToyNet", width=-4, no_such=1')
    assert [message for *_, message in found] == ["ToyNet has no argument 'no_such'"]


@pytest.mark.parametrize(
    ("model", "device"),
    [
        ('dict(type="ToyNet", width=4)', "meta"),
        ('dict(type="ReadsValues")', "meta"),
        ('dict(type="ReadsValues", of_weights=True)', "cpu"),  # it cannot be built without
    ],
)
def test_the_model_takes_no_memory(tmp_path, model, device):
    seen = []
    with registered("engine", lambda subject: seen.append(subject.model)):
        assert run(tmp_path, 'dict(type="ToyNet", width=4)', model, data="skip") == []
    before, built = seen
    assert before is None
    assert {str(one.device) for one in built.parameters()} == {device}


def test_building_does_not_load_what_takes_torch_seconds():
    code = (
        "import sys\n"
        "from visuite.engine.check import check_run\n"
        "from visuite.engine.config import Config\n"
        "check_run(Config.fromfile(sys.argv[1]), data='skip')\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'scipy.optimize') if name in sys.modules])"
    )
    config = Path(__file__).parents[3] / "configs/det/retinanet_small_bccd.py"
    told = subprocess.run([sys.executable, "-c", code, str(config)], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


class registered:
    """Have a check for the time of a block."""

    def __init__(self, scope, function):
        self.scope, self.function = scope, function

    def __enter__(self):
        register_check(self.scope, self.function)

    def __exit__(self, *error):
        subject_module._checks[self.scope].remove(self.function)


def test_packages_have_their_own_checks(tmp_path):
    def compare_classes(subject):
        names = subject.classes("train_dataloader")
        if names is not None and subject.cfg.model.get("width") != len(names):
            subject.findings.error("model.width", f"the data has {len(names)} classes: {', '.join(names)}")

    with registered("engine", compare_classes):
        assert run(tmp_path) == [("error", "model.width", "the data has 2 classes: minus, plus")]
        assert run(tmp_path, "width=4", "width=2") == []
        # The class itself tells where its data is not there, and before anything is built.
        wrapped = 'dict(type="RepeatDataset", times=2, dataset=dict(type="Absent"))'
        absent = dict(old='dict(type="ToyData", size=9)', new=wrapped)
        expected = ("error", "model.width", "the data has 3 classes: a, b, c")
        assert run(tmp_path, **absent, data="skip") == [expected]
        given = dict(absent, new='dict(type="Absent", metainfo=dict(classes=("x",)))')
        assert ("error", "model.width", "the data has 1 classes: x") in run(tmp_path, **given)


def test_a_scope_brings_its_module_of_checks(tmp_path, monkeypatch):
    package, module = types.ModuleType("toy_scope"), types.ModuleType("toy_scope.check")
    package.__path__ = []
    module.__spec__ = types.SimpleNamespace(name="toy_scope.check")
    monkeypatch.setitem(sys.modules, "toy_scope", package)
    monkeypatch.setitem(sys.modules, "toy_scope.check", module)
    monkeypatch.setattr("visuite.engine.check.static.import_scope", lambda scope: package)
    asked = []
    monkeypatch.setattr("importlib.import_module", lambda name, *rest: asked.append(name) or sys.modules.get(name))
    check_config(Config.fromstring("default_scope = 'toy'", ".py"))
    assert "toy_scope.check" in asked


def test_a_scope_has_routes_of_its_own(tmp_path):
    @TASK_UTILS.register_module(name="CheckedCoder", force=True)
    class CheckedCoder:
        def __init__(self, target: int = 1) -> None: ...

    register_route("engine", MODELS, "checked_coder", Route(TASK_UTILS))
    try:
        found = check_config(coder("checked_coder", "CheckedCodr"))
        assert [one.message.split(" (")[0] for one in found] == ["'CheckedCodr' is not a registered task util"]
        assert found[0].severity == "error"
    finally:
        routes_module._scoped["engine"].pop()
    # Elsewhere it is a guess: what is found is checked all the same, what is not may be read by the class itself.
    assert check_config(coder("checked_coder", "CheckedCoder")) == []
    assert [one.severity for one in check_config(coder("some_coder", "CheckedCoder", "target=1, x=2"))] == ["error"]
    assert [one.severity for one in check_config(coder("some_coder", "CheckedCodr"))] == ["warning"]
    assert check_config(coder("some_coder", "own_kind")) == []


def coder(key, kind, arguments="target=1"):
    @MODELS.register_module(name="HasCoder", force=True)
    class HasCoder(nn.Module):
        def __init__(self, **coders: object) -> None:
            super().__init__()
            self.coders = coders

    return Config.fromstring(f"model = dict(type='HasCoder', {key}=dict(type='{kind}', {arguments}))", ".py")


def test_the_faultless_config_of_the_static_check_lacks_only_data(tmp_path):
    (tmp_path / "config.py").write_text(GOOD)
    assert check_run(Config.fromfile(tmp_path / "config.py"), data="skip") == []
