"""What docs/inference.md shows, runs."""

from __future__ import annotations

import re

from visuite.engine.registry import INFERENCERS, MODELS, TRANSFORMS


def test_snippets(root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/inference.md").read_text(), flags=re.DOTALL)
    assert blocks
    names = {"__name__": "docs_inference"}
    for block in blocks:
        exec(compile(block, "docs/inference.md", "exec"), names)
    assert INFERENCERS.get("BrightnessInferencer")
    assert MODELS.get("Brightness")
    assert TRANSFORMS.get("PackPixels")
