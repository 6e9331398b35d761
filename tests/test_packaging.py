"""Each package is a wheel of its own, declares what it imports, and works with nothing but that."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.source_tree import PACKAGES, ROOT, modules

# Import names whose distribution is called otherwise; the rest are asked from what is installed, or are alike.
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "mlflow": "mlflow", "yaml": "pyyaml"}


@cache
def project_of(package: str) -> dict:
    text = (ROOT / "packages" / package / "pyproject.toml").read_text()
    return dict(tomllib.loads(text)["project"])


def declared(package: str, *, extras: bool) -> set[str]:
    """Canonical names of the distributions that a package asks for."""
    project = project_of(package)
    wanted = list(project["dependencies"])
    if extras:
        wanted += [item for items in project.get("optional-dependencies", {}).values() for item in items]
    return {canonicalize_name(Requirement(item).name) for item in wanted}


def distribution_of(top: str) -> str:
    """The distribution that brings a top-level import name."""
    if top.startswith("visuite."):
        return top.replace(".", "-")
    return canonicalize_name(DISTRIBUTIONS.get(top) or installed().get(top, [top])[0])


installed = cache(metadata.packages_distributions)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Package -> its wheel, built without a network."""
    out = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    for package in PACKAGES:
        done = subprocess.run(
            command,
            cwd=ROOT / "packages" / package,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return {package: next(out.glob(f"visuite_{package}-*.whl")) for package in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_holds_the_package_and_nothing_else(wheels: dict[str, Path], package: str) -> None:
    with zipfile.ZipFile(wheels[package]) as wheel:
        names = set(wheel.namelist())
    source = ROOT / "packages" / package / "src"
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    expected.add(f"visuite/{package}/py.typed")
    code = {name for name in names if ".dist-info/" not in name}
    assert expected <= code
    assert all(name.startswith(f"visuite/{package}/") for name in code)
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_are_declared(package: str) -> None:
    always, ever = declared(package, extras=False), declared(package, extras=True)
    wrong = []
    for module in modules(package):
        for item in module.imports:
            if item.top in sys.stdlib_module_names or item.top == f"visuite.{package}":
                continue
            known = ever if item.inside_function or item.for_types else always
            if distribution_of(item.top) not in known:
                wrong.append(f"{module.path.relative_to(ROOT)}:{item.line} imports {item.top}")
    assert not wrong, "declare these in the package's pyproject.toml (extras may be imported in functions only)"


def closure(names: set[str]) -> set[str]:
    """The installed distributions that `names` need, themselves included, by canonical name."""
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(needed.name), wanted) for wanted in ("", *needed.extras)]
    return {name for name, _ in seen}


def lend(names: set[str], site: Path) -> None:
    """Link installed distributions into another environment's site-packages, file trees by their topmost folders."""
    for name in names:
        distribution = metadata.distribution(name)
        tops = {path.parts[0] for path in distribution.files or [] if path.parts[0] not in {"..", "__pycache__"}}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))


@pytest.fixture(scope="session")
def lone_cls(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment into which visuite-cls alone was installed.

    What it and its packages declare from elsewhere (torch and so on) is lent by the environment that runs the tests, so
    pip finds it there and downloads nothing.
    """
    place = tmp_path_factory.mktemp("lone") / "env"
    venv.create(place, with_pip=True, symlinks=True)
    python = place / "bin" / "python"
    call(python, "-m", "pip", "uninstall", "--yes", "setuptools")  # Python 3.11 brings one; torch may need a newer
    elsewhere = {name for name in wanted_by("cls") if not name.startswith("visuite-")}
    lend(closure(elsewhere), next(place.glob("lib/python*/site-packages")))
    call(python, "-m", "pip", "install", "--no-index", "--find-links", str(wheels["cls"].parent), "visuite-cls")
    return python


def wanted_by(package: str) -> set[str]:
    """All that a package and those of ours below it declare."""
    found = declared(package, extras=False)
    for name in list(found):
        if name.startswith("visuite-"):
            found |= wanted_by(name.removeprefix("visuite-"))
    return found


def call(python: Path, *arguments: str) -> str:
    """Run an environment's Python with no settings of this one; give what it printed."""
    outer = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(
        [str(python), *arguments],
        cwd=python.parent,
        env={**outer, "PIP_CONFIG_FILE": os.devnull},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_cls_works_alone(lone_cls: Path) -> None:
    program = """
import json, visuite.cls, visuite.cv, visuite.engine
from visuite.engine.registry import MODELS
found = {name: MODELS.get(name) is not None for name in ("ResNet", "cls.ImageClassifier", "mmpretrain.LinearClsHead")}
print(json.dumps({"origin": visuite.cls.__file__, "found": found}))
"""
    answer = json.loads(call(lone_cls, "-c", program))
    assert Path(answer["origin"]).is_relative_to(lone_cls.parent.parent)
    assert all(answer["found"].values()), answer["found"]


def test_what_cls_declares_is_consistent(lone_cls: Path) -> None:
    assert "No broken requirements" in call(lone_cls, "-m", "pip", "check")
    installed = {item["name"] for item in json.loads(call(lone_cls, "-m", "pip", "list", "--format", "json"))}
    assert {name for name in installed if name.startswith("visuite")} == {"visuite-engine", "visuite-cv", "visuite-cls"}


def test_cls_brings_no_sibling(lone_cls: Path) -> None:
    program = """
import importlib.util, json
names = ["visuite.det", "visuite.seg", "visuite.yolo", "pycocotools", "pytest", "hypothesis", "torch", "cv2"]
print(json.dumps([name for name in names if importlib.util.find_spec(name)]))
"""
    assert json.loads(call(lone_cls, "-c", program)) == ["torch", "cv2"]


def test_a_missing_sibling_is_named_with_the_command_to_install_it(lone_cls: Path) -> None:
    program = """
from visuite.engine.registry import MODELS
try:
    MODELS.build(dict(type="det.RetinaNet"))
except Exception as error:
    print(error)
"""
    assert re.search(r"pip install visuite-det", call(lone_cls, "-c", program))


def test_every_version_is_told_in_one_place(wheels: dict[str, Path]) -> None:
    for package, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            source = archive.read(f"visuite/{package}/version.py").decode()
        version = re.search(r'__version__ = "(.+)"', source)
        assert version is not None
        assert wheel.name.split("-")[1] == version[1]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_example_of_the_readme_runs(package: str) -> None:
    readme = (ROOT / "packages" / package / "README.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, f"{package}/README.md", "exec"), {"__name__": f"readme_of_{package}"})
