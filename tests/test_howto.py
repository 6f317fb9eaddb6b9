"""The how-to pages show code that tests run, and each example project has a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {name: name for name in ("deployment", "fastapi", "mcp", "tasks", "wsgi")}
"""The pages, each with its project in `examples`."""
SHOWN = re.compile(r"<!-- (examples/\S+) -->\n```\w*\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_tested_files(page: str) -> None:
    """Word for word, the whole file or some lines of it, and no other Python."""
    text = (ROOT / f"docs/{page}.md").read_text()
    shown = SHOWN.findall(text)
    assert shown
    for name, block in shown:
        assert block in (ROOT / name).read_text(), name
    assert text.count("```python") == sum(name.endswith(".py") for name, _ in shown)


@pytest.mark.parametrize(("page", "example"), PAGES.items())
def test_a_page_and_its_example_link_to_each_other(page: str, example: str) -> None:
    """The page to the folder, and its README to the page."""
    assert f"](../examples/{example})" in (ROOT / f"docs/{page}.md").read_text()
    assert f"](../../docs/{page}.md)" in (ROOT / f"examples/{example}/README.md").read_text()
