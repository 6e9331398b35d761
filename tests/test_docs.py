"""The documentation's snippets run, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
#: Pages whose snippets just run; those of the others are held to what they say beside the tests of their subjects.
WHOLE = ("config", "cv", "reuse", "runner")
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\w+\.\w+)\n")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.parametrize("page", [p for p in PAGES if p.stem in WHOLE], ids=lambda p: p.stem)
def test_snippets_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as in a program of that folder
    names: dict[str, object] = {"__name__": f"docs_{page.stem}"}
    text = page.read_text()
    for found in SNIPPET.finditer(text):
        if named := FILE.match(found.group(1)):  # a file that later snippets read
            Path(named.group(1)).write_text(found.group(1))
            continue
        line = text[: found.start(1)].count("\n")
        code = "\n" * line + found.group(1)  # so that a traceback names the line of the page
        exec(compile(code, str(page), "exec"), names)


def test_every_page_with_snippets_is_run_somewhere():
    tests = "".join(p.read_text() for p in (ROOT / "tests").rglob("test_*docs.py"))
    pages = {p.stem for p in PAGES if SNIPPET.search(p.read_text())} - set(WHOLE)
    assert not {page for page in pages if f"docs/{page}.md" not in tests and f'"{page}.md"' not in tests}


READERS = [*PAGES, ROOT / "README.md", *sorted((ROOT / "packages").glob("*/README.md"))]


@pytest.mark.parametrize("page", READERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not broken
