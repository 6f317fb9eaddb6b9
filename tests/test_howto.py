"""The how-to pages show code that tests run, and each example project has a page."""

from __future__ import annotations

import re
import subprocess
import sys
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


BLOCKS = """
import sys
from pathlib import Path

import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["django_asgi_lifespan"])
django.setup()

from django_asgi_lifespan import run_lifespan_sync

for block in Path(sys.argv[1]).read_text().split("```python\\n")[1:]:
    exec(block.split("```")[0])
with run_lifespan_sync() as running:
    eval(sys.argv[2])
"""


def run_page(page: str, expression: str) -> str:
    """The output of the expression inside a lifespan with the resources that the page declares."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS, str(ROOT / page), expression],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_about_moving_declares_two_resources() -> None:
    """One in the place of a global, one that FastAPI had."""
    expression = "print(type(http_client.get()).__name__, *sorted(running.state))"
    assert run_page("docs/moving.md", expression) == "AsyncClient http_client weather_client\n"


def test_the_page_about_reasons_keeps_a_task_group_open() -> None:
    """Whose task runs until the resource is closed."""
    assert run_page("docs/why.md", "print(*heartbeat.get())") == "beat\n"
