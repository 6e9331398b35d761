"""What docs/check.md shows, runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from visuite.engine.check import routes, subject

ROOT = Path(__file__).parents[3]
TEXT = ROOT.joinpath("docs/check.md").read_text()


@pytest.fixture
def said():
    """What all snippets together leave."""
    names: dict = {}
    for snippet in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(snippet, "docs/check.md", "exec"), names)
    yield names
    subject._checks.pop("my_scope")
    routes._scoped.pop("my_scope")


def test_the_findings_shown(said):
    first, second = said["found"]
    assert first.startswith("error: custom_hooks.0: CheckpointHook has no argument 'intervall'; did you mean")
    assert second.startswith("error: custom_hooks.1: 'EarlyStopingHook' is not a registered hook")
    assert second.endswith("did you mean 'EarlyStoppingHook'?")


def test_the_check_shown_finds_what_it_should(said):
    cfg = said["Config"](
        dict(
            model=dict(type="X", num_classes=3),
            train_dataloader=dict(dataset=dict(type="BaseDataset", metainfo=dict(classes=("a", "b")))),
        )
    )
    findings = subject.Findings(cfg)
    subject.run_checks(subject.Subject(cfg, findings), "my_scope")
    assert [one.message for one in findings] == ["is 3, and the data has 2 classes"]


@pytest.mark.parametrize("tool", ["check.py", "print_config.py"])
def test_every_option_told_exists(tool):
    command = [sys.executable, ROOT / "tools" / tool, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    options = {"check.py": ("--data", "--strict", "--cfg-options", "--trust-config"), "print_config.py": ("--sources",)}
    for option in options[tool]:
        assert option in TEXT
        assert option in shown.stdout
