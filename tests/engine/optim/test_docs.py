"""The page on optimizers runs as it stands."""

from __future__ import annotations

import re


def test_the_page_runs(root):
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/optim.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/optim.md", "exec"), names)
    assert names["schedulers"][0].last_step == 1
