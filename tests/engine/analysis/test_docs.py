"""What docs/analysis.md shows, runs."""

from __future__ import annotations

import re


def test_snippets(root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/analysis.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(compile(block, "docs/analysis.md", "exec"), names)
    assert names["picture"].shape == (360, 560, 3)
