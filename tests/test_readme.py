"""The README and the pages beside it show the code that runs."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from django_asgi_lifespan import resource
from django_asgi_lifespan.conf import LifespanSettings
from tools import index_page, site

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
INDEX_PAGES = [page for page in site.places() if page.startswith("packages/")]
PAGES = ["README.md"]
PAGES += [
    f"docs/{page}.md"
    for page in ("guide", "adapters", "operations", "database", "deployment", "mcp")
]
PAGES += [f"docs/{page}.md" for page in ("fastapi", "moving", "observability", "servers")]
PAGES += [f"docs/{page}.md" for page in ("tasks", "why", "wsgi")]
PAGES += [
    f"packages/{server}/README.md" for server in ("daphne", "granian", "hypercorn", "uvicorn")
]
if sys.platform != "win32":  # where gunicorn cannot be imported
    PAGES.append("packages/gunicorn/README.md")


def test_the_quickstart_is_that_of_the_tested_files() -> None:
    """Each block under the name of a file is that file, to the letter."""
    blocks = re.findall(r"<!-- (\S+) -->\n```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    for name, text in blocks:
        assert text == (ROOT / name).read_text(), name


@pytest.mark.parametrize("page", PAGES)
def test_the_names_that_a_page_shows_can_be_imported(page: str) -> None:
    """Each block is Python, and so is each address of a name of ours: those in the text, too."""
    text = (ROOT / page).read_text()
    addresses = set(re.findall(r"\bdjango_asgi_lifespan(?:_[a-z]+)?(?:\.\w+)*\b(?!/)", text))
    addresses = {each for each in addresses if not re.search(r"\.[EIW]\d{3}$", each)}  # of checks
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(block, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for module, names in re.findall(
            r"^from (django_asgi_lifespan\S*) import (.*)$", block, re.MULTILINE
        ):
            addresses |= {f"{module}.{name.strip()}" for name in names.split(",")}
    assert addresses
    for address in addresses:
        assert pkgutil.resolve_name(address)


def test_the_page_on_the_index_is_that_of_the_readme() -> None:
    """With absolute links only. After a change of README.md run ``just index-page``."""
    assert index_page.PAGE.read_text() == index_page.index_page(index_page.repository())


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://example.org/main", "[guide](https://example.org/main/docs/guide.md)"),
        ("", "The guide has"),
    ],
)
def test_links_on_the_index_lead_to_the_home_of_the_repository(address: str, link: str) -> None:
    """If it has one. Otherwise their text stays."""
    page = index_page.index_page(address)
    assert link in page
    assert all(each["target"].startswith("https://") for each in site.links(page))


@pytest.mark.parametrize("page", INDEX_PAGES)
def test_a_page_on_the_index_has_no_link_that_leads_nowhere_there(page: str) -> None:
    """Those of the adapters stand alone. That of the core has the links of README.md."""
    for link in site.links((ROOT / page).read_text(encoding="utf-8")):
        assert link["target"].startswith("https://"), link["target"]


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_of_adapters_stand_alone(page: str) -> None:
    """They are pages of the index, where a relative link leads nowhere."""
    if page.startswith("packages/"):
        links = site.links((ROOT / page).read_text())
        assert all(re.match("https://|#", each["target"]) for each in links)


def test_the_settings_are_shown_with_their_defaults() -> None:
    """The block of the reference has each, and a row of the table below it explains it."""
    page = (ROOT / "docs" / "reference.md").read_text()
    [block] = re.findall(r"^ASGI_LIFESPAN = (\{.*?^\})", page, re.DOTALL | re.MULTILINE)
    settings = LifespanSettings()
    defaults = {name: getattr(settings, name) for name in settings.__slots__}
    shown = {key.lower(): value for key, value in ast.literal_eval(block).items()}
    assert shown == defaults | {"adapters": []}
    rows = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert [row.lower() for row in rows] == [*shown]


def test_the_options_of_a_resource_are_listed() -> None:
    """Each has a row in the reference."""
    page = (ROOT / "docs" / "reference.md").read_text()
    _, _, section = page.partition("## Options of a resource")
    rows = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    assert rows == [*inspect.signature(resource).parameters][1:]


def test_the_page_of_the_api_has_every_name() -> None:
    """Of each module that projects, their tests and adapters import from."""
    shown = re.findall(
        r"^\.\. (?:auto|py:)\w+:: ([\w.]+)", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE
    )
    modules = {name.rpartition(".")[0] for name in shown}
    assert modules >= {"django_asgi_lifespan", "django_asgi_lifespan.adapters"}
    names = {each.rpartition(".")[2] for each in shown}
    for module in ("", ".adapters", ".asgi", ".testing"):
        offered = import_module(f"django_asgi_lifespan{module}").__all__
        assert {*offered} - names <= {"lifespan_settings"}, module


def test_each_line_that_installs_the_core_asks_for_this_interface() -> None:
    """An older uvicorn that is pinned beside it would bring version 0.5.4 in silence."""
    pages = [ROOT / page for page in [*PAGES, "docs/start.md", "packages/core/README.md"]]
    lines = [
        line
        for page in pages
        for line in page.read_text().splitlines()
        if re.search(r"pip install .*django-asgi-lifespan(?!-)", line)
    ]
    assert len(lines) > len(PAGES) / 2
    assert not [line for line in lines if not re.search(r"\[\w+\]>=1\"|lifespan>=1\"", line)]


@pytest.mark.parametrize("server", ["", "logging.basicConfig(level=logging.INFO)"])
def test_the_logging_shown_shows_each_line_once(server: str) -> None:
    """On the standard error stream, also under a server that configures the root logger."""
    page = (ROOT / "docs" / "operations.md").read_text()
    [block] = re.findall(r"^LOGGING = (\{.*?^\})", page, re.DOTALL | re.MULTILINE)
    program = (
        f"import logging, logging.config\n{server}\nlogging.config.dictConfig({block})\n"
        "logging.getLogger('django_asgi_lifespan').info('http_client started in 12 ms')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "http_client started in 12 ms\n"


def test_the_two_commands_of_a_fresh_machine_are_shown() -> None:
    """One runs the demo, one the tests."""
    for recipe in ("demo", "test"):
        assert f"```\npip install uv && uv run just {recipe}\n```" in README
