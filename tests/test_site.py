"""The documentation site: it builds, and no link of a page leads nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import django_asgi_lifespan
from tools import site

ROOT = Path(__file__).parents[1]
PAGES = site.places()


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_file_of_the_repository(page: str) -> None:
    """So the pages work as plain Markdown on a repository host, without the site."""
    for link in site.links((ROOT / page).read_text(encoding="utf-8")):
        site.resolve(page, link["target"])


def test_a_link_to_nowhere_is_an_error() -> None:
    """With the page and the link."""
    with pytest.raises(FileNotFoundError, match=r"guide\.md: the link to gone\.md"):
        site.resolve("docs/guide.md", "gone.md#place")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built anew."""
    pytest.importorskip("sphinx", reason="the site is built on Python 3.11 and newer")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "tools.site", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_the_site_links_to_other_projects_if_their_inventories_are_there(
    html: Path, tmp_path: Path
) -> None:
    """``just docs`` builds it without them, and without a warning."""
    for name in ("python", "django", "asgiref"):
        entry = "collections.abc.AsyncIterator py:class 1 library/abc.html#$ -\n"
        header = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: 1\n# zlib\n"
        content = zlib.compress(entry.encode() if name == "python" else b"")
        (tmp_path / f"{name}.inv").write_bytes(header.encode() + content)
    source = html.with_name("source")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-j", "auto", source, tmp_path, "api.md"],
        cwd=source,
        env={**os.environ, "SITE_INTERSPHINX": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "api.html").read_text(encoding="utf-8")
    assert "https://docs.python.org/3/library/abc.html#collections.abc.AsyncIterator" in text


def test_each_page_is_in_the_site_with_the_version(html: Path) -> None:
    """The version stands in the header of each page."""
    for place in PAGES.values():
        text = (html / place).with_suffix(".html").read_text(encoding="utf-8")
        assert f"django-asgi-lifespan {django_asgi_lifespan.__version__}" in text, place


def test_nothing_is_loaded_from_elsewhere(html: Path) -> None:
    """So the site and its search work without a network."""
    loads = re.compile(r"""<(?:script|link|img)[^>]* (?:src|href)=["'](?:https?:)?//""")
    for page in html.rglob("*.html"):
        assert not loads.search(page.read_text(encoding="utf-8")), page
    assert (html / "searchindex.js").is_file()


def test_a_missing_page_has_links_that_work_at_any_depth(html: Path) -> None:
    """They begin at the root of the site."""
    text = (html / "404.html").read_text(encoding="utf-8")
    assert 'href="/start.html"' in text
    assert not re.search(r'href="(?!/|#|https?:)[^"]*\.(?:css|html)', text)
