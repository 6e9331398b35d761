"""What docs/cls.md shows, runs."""

from __future__ import annotations

import re
from pathlib import Path


def test_snippets(root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/cls.md").read_text(), flags=re.DOTALL)
    assert blocks
    names: dict[str, object] = {"__name__": "docs_cls"}
    for block in blocks:
        exec(compile(block, "docs/cls.md", "exec"), names)
    assert Path("outputs/vis/000000.png").is_file()
    assert Path("outputs/preds/000001.json").is_file()
