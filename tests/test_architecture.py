"""What holds for the tree as a whole: who may import whom, and what every package brings along."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.source_tree import PACKAGES, ROOT, Module, all_modules, modules, parse

MAY_IMPORT = {
    "engine": set(),
    "cv": {"engine"},
    "cls": {"engine", "cv"},
    "det": {"engine", "cv"},
    "seg": {"engine", "cv"},
    "yolo": {"engine", "cv", "det"},
}
MEBIBYTE = 1 << 20


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def load_time_graph(package: str) -> dict[str, set[str]]:
    """Module -> modules of the same package that loading it loads by name."""
    known = {module.name for module in modules(package)}
    graph: dict[str, set[str]] = {name: set() for name in known}
    for module in modules(package):
        for item in module.imports:
            target = next((name for name in item.names if name in known), None)
            if target and not item.inside_function and not item.for_types:
                graph[module.name].add(target)
    return graph


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one import cycle, first again at the end; empty where there is none."""
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            cycle = visit(target, [*trail, name])
            if cycle:
                return cycle
        done.add(name)
        return []

    for name in sorted(graph):
        cycle = visit(name, [])
        if cycle:
            return cycle
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_those_below_them(package: str) -> None:
    allowed = {f"visuite.{name}" for name in MAY_IMPORT[package] | {package}}
    wrong = [
        f"{module.path.relative_to(ROOT)}:{item.line} imports {item.names[0]}"
        for module in modules(package)
        for item in module.imports
        if item.top.startswith("visuite") and item.top not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_cycle(package: str) -> None:
    assert not find_cycle(load_time_graph(package))


def test_cycles_are_found() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_first_party_import_inside_a_function() -> None:
    wrong = [
        f"{module.path.relative_to(ROOT)}:{item.line} imports {item.names[0]}"
        for module in all_modules()
        for item in module.imports
        if item.inside_function and item.top.startswith("visuite")
    ]
    assert not wrong


def test_all_imports_are_absolute() -> None:
    wrong = [
        f"{module.path.relative_to(ROOT)}:{node.lineno}"
        for module in all_modules()
        for node in ast.walk(parse(module.path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong


def test_visuite_is_a_namespace() -> None:
    assert not list(ROOT.glob("packages/*/src/visuite/*.py"))
    assert not list(ROOT.glob("packages/*/src/*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_a_package_is_a_package(package: str) -> None:
    source = ROOT / "packages" / package / "src" / "visuite" / package
    folders = {module.path.parent for module in modules(package)}
    assert source in folders
    assert not [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_brings_what_a_user_expects(package: str) -> None:
    folder = ROOT / "packages" / package
    assert (folder / "src" / "visuite" / package / "py.typed").exists()
    assert len((folder / "README.md").read_text().splitlines()) <= 60
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == f"visuite-{package}"
    assert project["project"]["requires-python"] == ">=3.11"
    version_file = folder / project["tool"]["hatch"]["version"]["path"]
    version = ast.literal_eval(parse(version_file).body[-1].value)  # type: ignore[attr-defined]
    assert f"## {version}" in (folder / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_upper_pins(package: str) -> None:
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
    extras = [item for items in project.get("optional-dependencies", {}).values() for item in items]
    assert not [item for item in [*project["dependencies"], *extras] if "<" in item or "==" in item or "~=" in item]


def test_tracked_files_are_small_and_sources() -> None:
    files = [path for path in tracked_files() if path.exists()]
    assert not [str(path.relative_to(ROOT)) for path in files if path.stat().st_size >= MEBIBYTE]
    assert not [path.name for path in files if path.name == "uv.lock" or path.suffix in {".pth", ".whl", ".zip"}]


def test_source_reader_sees_every_kind_of_import(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(
        "import os.path\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "def f():\n    from visuite.cv.ops import nms\n"
    )
    found = {item.top: item for item in Module(path, "sample", "engine").imports}
    assert set(found) == {"os", "typing", "torch", "visuite.cv"}
    assert found["torch"].for_types
    assert not found["torch"].inside_function
    assert found["visuite.cv"].inside_function
    assert found["visuite.cv"].names == ("visuite.cv.ops.nms", "visuite.cv.ops")
