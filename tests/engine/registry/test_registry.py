"""Names to objects, over scopes."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import pytest
from torch import nn

from visuite.engine.registry import MODELS, DefaultScope, Registry, child_registries, init_default_scope


@pytest.fixture
def tree() -> tuple[Registry, Registry, Registry]:
    root = Registry("thing", scope="engine")
    return root, Registry("thing", parent=root, scope="a"), Registry("thing", parent=root, scope="b")


def make(name: str) -> type:
    def init(self: object, size: int = 1, part: object = None) -> None:
        self.size, self.part = size, part  # type: ignore[attr-defined]

    return type(name, (), {"__init__": init})


def test_a_decorator_registers_under_the_class_name_or_others(tree):
    root, *_ = tree

    @root.register_module()
    class One:
        pass

    @root.register_module(name=["two", "zwei"])
    class Two:
        pass

    assert root.get("One") is One
    assert root.get("two") is root.get("zwei") is Two
    assert "Two" not in root


def test_a_taken_name_is_an_error_unless_forced(tree):
    root, *_ = tree
    first, second = make("Same"), make("Same")
    root.register_module(module=first)
    root.register_module(module=first)  # the same class again is no conflict
    with pytest.raises(KeyError, match=r"'Same' is already registered in 'thing'"):
        root.register_module(module=second)
    root.register_module(module=second, force=True)
    assert root.get("Same") is second


@pytest.mark.parametrize("wrong", [3, ["a", 1]])
def test_names_are_strings(tree, wrong):
    with pytest.raises(TypeError, match="name is a string"):
        tree[0].register_module(name=wrong)


def test_a_decorator_without_brackets_is_explained(tree):
    with pytest.raises(TypeError):

        @tree[0].register_module
        class Forgot:
            pass


def test_look_up_goes_own_scope_then_root_but_not_to_siblings(tree):
    root, a, b = tree
    common, mine = make("Common"), make("Mine")
    root.register_module(module=common)
    a.register_module(module=mine)
    assert a.get("Common") is common
    assert a.get("Mine") is mine
    assert b.get("Mine") is None
    assert b.get("a.Mine") is mine


def test_a_child_may_shadow_the_root(tree):
    root, a, _ = tree
    general, special = make("Net"), make("Net")
    root.register_module(module=general)
    a.register_module(module=special)
    assert a.get("Net") is special
    assert a.get("engine.Net") is general
    assert a.get("mmengine.Net") is general


def test_old_scope_names_are_aliases():
    registries = child_registries("alias_probe")
    assert registries.MODELS.scope == "alias_probe"
    with MODELS.switch_scope_and_registry("mmengine") as node:
        assert node is MODELS
    assert Registry.split_scope_key("mmdet.RetinaNet") == ("mmdet", "RetinaNet")


def test_a_scope_is_inferred_from_the_calling_module():
    exec_globals = {"__name__": "my_project.models", "Registry": Registry}
    exec("found = Registry.infer_scope()", exec_globals)
    assert exec_globals["found"] == "my_project"
    exec_globals["__name__"] = "visuite.det.registry"
    exec("found = Registry.infer_scope()", exec_globals)
    assert exec_globals["found"] == "det"


def test_two_children_of_one_scope_are_an_error(tree):
    with pytest.raises(KeyError, match="already has a child with scope 'a'"):
        Registry("thing", parent=tree[0], scope="a")


def test_the_default_scope_decides_where_building_starts(tree):
    root, a, _ = tree
    general, special = make("Net"), make("Net")
    root.register_module(module=general)
    a.register_module(module=special)
    with DefaultScope.overwrite_default_scope("a"):
        assert type(root.build({"type": "Net"})) is special
    with DefaultScope.overwrite_default_scope("engine"):
        assert type(root.build({"type": "Net"})) is general
    assert type(root.build({"type": "Net", "_scope_": "a"})) is special


def test_a_package_finds_its_own_parts_whatever_the_default_scope(tree):
    root, a, b = tree
    mine, shadow = make("Mine"), make("Mine")
    a.register_module(module=mine)
    for scope in ("engine", "a", "b"):
        with DefaultScope.overwrite_default_scope(scope):
            assert type(a.build({"type": "Mine"})) is mine
    b.register_module(module=shadow)
    with DefaultScope.overwrite_default_scope("b"):
        assert type(a.build({"type": "Mine"})) is shadow  # a user's scope may replace parts of a package
    with DefaultScope.overwrite_default_scope("engine"), pytest.raises(KeyError, match=r"registered under a\.Mine"):
        root.build({"type": "Mine"})


def test_overwriting_the_scope_ends_with_the_block():
    init_default_scope("engine")
    before = DefaultScope.get_current_instance()
    with DefaultScope.overwrite_default_scope("elsewhere"):
        assert DefaultScope.get_current_instance().scope_name == "elsewhere"
    assert DefaultScope.get_current_instance() is before


def test_scope_defaults_yield_to_the_config(tree):
    root, a, _ = tree
    net = make("Net")
    root.register_module(module=net)
    a.register_defaults(net, size=7)
    assert root.build({"type": "Net"}).size == 1
    assert a.build({"type": "Net", "_scope_": "a"}).size == 7
    assert root.build({"type": "a.Net", "size": 3}).size == 3


def test_build_keeps_the_config_and_takes_default_args(tree):
    root, *_ = tree
    root.register_module(module=make("Net"))
    cfg = {"type": "Net", "part": {"type": "x"}}
    built = root.build(cfg, default_args={"size": 5})
    assert built.size == 5
    assert cfg == {"type": "Net", "part": {"type": "x"}}


def test_built_objects_pass_through(tree):
    built = make("Net")()
    assert tree[0].build(built) is built


def test_functions_can_be_registered_and_called(tree):
    tree[0].register_module(name="double", module=lambda x: 2 * x)
    assert tree[0].build({"type": "double", "x": 4}) == 8


def test_a_class_can_stand_for_its_name(tree):
    kind = make("Unregistered")
    assert type(tree[0].build({"type": kind})) is kind


class TestErrors:
    def test_unknown_type_names_the_nearest(self, tree):
        tree[0].register_module(module=make("RetinaNet"))
        with pytest.raises(KeyError) as caught:
            tree[1].build({"type": "RetinNet"})
        assert "'RetinNet' is not a registered thing" in str(caught.value)
        assert "did you mean 'RetinaNet'" in str(caught.value)

    def test_a_name_of_another_scope_is_pointed_at(self, tree):
        tree[2].register_module(module=make("Elsewhere"))
        with pytest.raises(KeyError, match=r"registered under b\.Elsewhere"):
            tree[1].build({"type": "Elsewhere"})

    def test_unknown_argument_names_the_nearest(self, tree):
        tree[0].register_module(module=make("Net"))
        with pytest.raises(TypeError, match=r"has no argument 'sise'; did you mean 'size'"):
            tree[0].build({"type": "Net", "sise": 2})

    def test_missing_argument_is_named(self, tree):
        @tree[0].register_module()
        class Needs:
            def __init__(self, depth: int, width: int) -> None:
                pass

        with pytest.raises(TypeError, match=r"Needs needs 'width'"):
            tree[0].build({"type": "Needs", "depth": 1})

    def test_a_config_without_type(self, tree):
        with pytest.raises(KeyError, match=r"needs the key 'type'.*\['size'\]"):
            tree[0].build({"size": 1})

    def test_none_is_no_config(self, tree):
        with pytest.raises(TypeError, match="not None"):
            tree[0].build(None)

    def test_nested_faults_tell_the_whole_path(self, tree):
        root, *_ = tree

        @root.register_module()
        class Outer:
            def __init__(self, inner: list[dict]) -> None:
                self.inner = [root.build(one) for one in inner]

        root.register_module(module=make("Net"))
        with pytest.raises(TypeError) as caught:
            root.build({"type": "Outer", "inner": [{"type": "Net"}, {"type": "Net", "wrong": 1}]})
        assert caught.value.config_path == "inner.1"

    def test_a_scope_without_its_package_tells_where_and_what_to_install(self, tree, monkeypatch):
        root, *_ = tree

        @root.register_module()
        class Outer:
            def __init__(self, inner: dict) -> None:
                self.inner = root.build(inner)

        find = importlib.util.find_spec
        hidden = {"find_spec": lambda name, *rest: None if name == "visuite.yolo" else find(name)}
        monkeypatch.setattr("importlib.util", SimpleNamespace(**hidden))
        for inner in ({"type": "mmyolo.Net"}, {"type": "Net", "_scope_": "mmyolo"}):
            with pytest.raises(ImportError, match=r"inner: scope 'mmyolo' needs .*: pip install visuite-yolo"):
                root.build({"type": "Outer", "inner": inner})

    def test_a_package_that_fails_to_import_tells_its_scope(self, tree, monkeypatch):
        def fail(name):
            raise ModuleNotFoundError("No module named 'pycocotools'")

        monkeypatch.setattr("importlib.import_module", fail)
        said = r"scope 'mmdet' needs visuite.det, which fails to import \(No.*'pycocotools'\): pip install visuite-det"
        with pytest.raises(ImportError, match=said):
            tree[0].build({"type": "mmdet.Net"})

    def test_a_failing_constructor_keeps_its_error_and_tells_where(self, tree):
        @tree[0].register_module()
        class Fails:
            def __init__(self) -> None:
                raise ZeroDivisionError("ours")

        with pytest.raises(ZeroDivisionError, match="ours") as caught:
            tree[0].build({"type": "Fails"})
        assert "Fails" in caught.value.__notes__[0]


class TestDottedNames:
    def test_torch_classes_are_reached_by_path(self):
        assert isinstance(MODELS.build({"type": "torch.nn.Linear", "in_features": 2, "out_features": 3}), nn.Linear)

    @pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", "builtins.eval", "torch.hub.load", "torch.load"])
    def test_configs_reach_nothing_else(self, name):
        assert MODELS.get(name) is None


def test_a_prefix_is_registered_when_a_name_with_it_is_first_looked_up(tmp_path, monkeypatch) -> None:
    parts = Registry("part", scope="late_parts_test")
    parts.register_location("late_parts", prefix="late/")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "late_holder", SimpleNamespace(parts=parts))
    line = "from late_holder import parts; parts.register_module('late/One', module=dict)"
    (tmp_path / "late_parts.py").write_text(line)
    assert parts.get("One") is None
    assert "late_parts" not in sys.modules
    assert parts.get("late/One") is dict
    assert parts.get("late/Two") is None


def test_models_in_a_list_follow_one_another():
    built = MODELS.build([dict(type=nn.Linear, in_features=2, out_features=3), nn.ReLU()])
    assert type(built) is nn.Sequential
    assert [type(one) for one in built] == [nn.Linear, nn.ReLU]
