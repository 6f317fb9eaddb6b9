"""The table of the messages: each is provoked at its place, and none of the source is missing."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import Client, SimpleTestCase
from django.urls import path

import django_asgi_lifespan
from django_asgi_lifespan import ResourceUnavailableError, resource, run_lifespan_sync
from django_asgi_lifespan.places import REMEDIES, place_of
from messages import CODE, COURSE, OWN, ROWS, Row, without_codes
from test_checks import project  # noqa: F401 - a fixture, for rows of the table
from virtual_clock import run

SOURCE = Path(django_asgi_lifespan.__file__).parent

NO_MESSAGES = {
    "waiting for the resources that it requires": "a state",
    "closing, because it was cancelled from inside while it was open": "a state",
    "closed, or never opened": "a state",
    "not waited for any more": "a state",
    "module … has no attribute …": "Python says so",
    "Watching for file changes with …": "Django says so, and so does our twin of its reloader",
    "… …: …": "a format of the log",
    "<Resource … from …>": "a representation",
    "Iterable[Resource[Any] | str]": "a type",
    "float | None": "a type",
    "AbstractAsyncContextManager[Any, bool | None]": "a type",
    "HttpResponseBase | Awaitable[HttpResponseBase]": "a type",
    "front or server": "a key",
    r"(\d+\.\d+) INFO (\S+) (started|stopped) in (\d+) ms": "a pattern",
    "the scope of the fixture 'lifespan': …": "the help of pytest",
    "lifespan(overrides={}, only=None): the stand-ins for resources, and the resources that "
    "start, in the fixture 'lifespan' of django-asgi-lifespan.": "the help of pytest",
    "fail a test with a lifespan that leaves a task, a thread, an open connection or an open "
    "resource behind": "the help of pytest",
    "a connection to {}": "a part of a message",
    "a socket at {}": "a part of a message",
    "a connection to the database …, which the thread … opened": "a part of a message",
    "a lifespan, whose open resources are …": "a part of a message",
    "the lifespan scope is answered like a request": "nobody sees it",
}
"""The texts of the source that are no messages, each with the reason."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.place}: {row.name}")
def test_a_message_appears_at_its_place(
    row: Row, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """With these words, among which is the remedy."""
    caplog.set_level(logging.DEBUG)
    names = inspect.signature(row.provoke).parameters
    fixtures = {
        name: request.getfixturevalue(name)
        for name, parameter in names.items()
        if parameter.default is parameter.empty
    }
    texts: list[str] = []
    try:
        result: Any = row.provoke(**fixtures)
        if inspect.iscoroutine(result):
            result = run(result)
        texts.append(str(result))
    except Exception as error:
        texts.append(str(error))
    texts += caplog.messages
    text = row.find(texts)
    assert text is not None, "\n".join(texts)
    assert row.remedy in (COURSE, OWN) or row.remedy in row.message
    codes = CODE.findall(text)
    assert not codes or any(row in EXPLAINED[code] for code in codes)


def texts_of_the_source() -> Iterator[str]:
    """Yield the texts of three words or more that are not docstrings, their gaps as ellipses."""
    for file in SOURCE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        parts: set[ast.AST] = set()  # docstrings, and the parts of texts with gaps
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):
                parts.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts.update(each for each in ast.walk(node) if each is not node)
        for node in ast.walk(tree):
            if node not in parts and (text := _text(node)).count(" ") >= 2:
                yield text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(each) or "…" for each in node.values)
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    text = value.decode() if isinstance(value, bytes) else value
    # The gaps that % and str.format() fill.
    gaps = r"%(\(\w+\))?[-.\d]*[a-z]|\{\w+\}"
    return re.sub(gaps, "…", without_codes(text)) if isinstance(text, str) else ""


def test_every_message_of_the_source_is_in_the_table() -> None:
    """A text that is none is listed with the reason."""
    missing = []
    for text in texts_of_the_source():
        words = ".*".join(map(re.escape, text.strip().split("…")))
        if text not in NO_MESSAGES and not any(
            re.search(words, row.message, re.DOTALL) for row in ROWS
        ):
            missing.append(text)
    assert not missing, "\n".join(missing)


PACKAGES = Path(__file__).parents[2]
PAGE = (PACKAGES.parent / "docs" / "errors.md").read_text(encoding="utf-8")


def explained() -> dict[str, list[Row]]:
    """Return the headings about messages of the core, each with the messages below it.

    A code has the words of its messages below it. Otherwise the heading has the words.
    """
    page, _, _ = PAGE.partition("## Messages of the adapters")
    found: dict[str, list[Row]] = {}
    for section in page.split("\n### ")[1:]:
        heading, _, text = section.partition("\n")
        quoted = re.findall(r"^> (.+)$", text, re.MULTILINE) or [heading]
        patterns = [".*".join(map(re.escape, each.split("…"))) for each in quoted]
        for words in patterns:
            rows = [row for row in ROWS if re.search(words, row.message, re.DOTALL)]
            assert rows, words
            found.setdefault(heading, []).extend(rows)
    return found


EXPLAINED = explained()


def test_the_page_about_errors_has_every_message_that_needs_a_remedy() -> None:
    """Each message has a heading, and each heading a message."""
    told = {row for rows in EXPLAINED.values() for row in rows}
    assert [row.message for row in ROWS if row.remedy != COURSE and row not in told] == []


def test_each_code_is_a_heading_of_the_page() -> None:
    """And each id of a system check. No heading is there twice, and none has an old code."""
    codes: set[str] = set()
    for file in PACKAGES.glob("*/src/**/*.py"):
        text = file.read_text(encoding="utf-8")
        package = file.relative_to(PACKAGES).parts[2]
        codes |= {*CODE.findall(text)}
        codes |= {f"{package}.{number}" for number in re.findall(r"\b[EIW]0\d\d\b", text)}
    headings = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    assert len(headings) == len({*headings})
    known = {each for each in headings if each.startswith(("lifespan-", "django_asgi_lifespan"))}
    assert known == codes


# Programs

MAIL = {"django.core.mail": SimpleNamespace(outbox=[])}


@pytest.mark.parametrize(
    ("arguments", "modules", "place", "words"),
    [
        (["/venv/bin/pytest", "tests"], {"_pytest": None}, "test", "override(value)"),
        (["manage.py", "test"], {}, "test", "In a test"),
        (["tests/run.py"], MAIL, "test", "In a test"),
        (["manage.py", "shell"], {}, "shell", "__enter__()"),
        (["manage.py", "-v2", "shell_plus"], {}, "shell", "__enter__()"),
        (["/venv/lib/ipykernel_launcher.py", "-f", "x"], {}, "shell", "In a notebook"),
        (["/venv/bin/ipython"], {}, "shell", "running.run(...)"),
        (["manage.py", "import_prices"], {}, "command", "handle()"),
        (["/venv/bin/django-admin", "import_prices"], {}, "command", "running.run(...)"),
        (["/lib/django/__main__.py", "import_prices"], {}, "command", "handle()"),
        (["manage.py"], {}, "command", "handle()"),
        (["/venv/bin/celery", "-A", "mysite", "worker"], {}, "task worker", "task queue"),
        (["/lib/celery/__main__.py", "worker"], {}, "task worker", "when that process starts"),
        (["manage.py", "db_worker"], {}, "task worker", "around the code of the task"),
        (["manage.py", "rqworker", "high"], {}, "task worker", "task queue"),
        (["manage.py", "runworker", "thumbnails"], {}, "runworker", "consumer"),
        (["manage.py", "runserver"], {}, "unknown", None),
        (["/venv/bin/uvicorn", "mysite.asgi"], {"django.core.mail": None}, "unknown", None),
        (["script.py"], {}, "unknown", None),
        ([], {}, "unknown", None),
    ],
)
def test_each_kind_of_program_has_a_remedy(
    arguments: list[str], modules: dict[str, Any], place: str, words: str | None
) -> None:
    """It is known by its command line. The stack tells the servers."""
    assert place_of(arguments, modules) == place
    assert (words in REMEDIES[place]) if words else (place not in REMEDIES)


def test_a_prompt_of_python_is_a_shell() -> None:
    """Whose command line is empty."""
    assert place_of([""], {}, is_interactive=True) == "shell"


# Another event loop


async def _values() -> AsyncIterator[int]:
    yield 1


def asked_by(call: Callable[[Callable[[], Any]], object], ask: Callable[[], Any]) -> str:
    """Return the error of *ask*, which *call* calls."""
    with pytest.raises(ResourceUnavailableError) as error:
        call(ask)
    return str(error.value)


def _by_async_to_sync(ask: Callable[[], Any]) -> None:
    async def function() -> None:
        ask()

    async_to_sync(function)()


def _by_asyncio_run(ask: Callable[[], Any]) -> None:
    async def function() -> None:
        ask()

    asyncio.run(function())


def _by_an_async_view(ask: Callable[[], Any]) -> None:
    async def view(request: object) -> None:
        ask()

    with SimpleTestCase().settings(ROOT_URLCONF=(path("", view),)):
        Client().get("/")


@pytest.mark.parametrize("call", [_by_async_to_sync, _by_asyncio_run, _by_an_async_view])
def test_under_run_lifespan_sync_another_loop_is_told_of_run(call: Any) -> None:
    """An async view cannot help it."""
    number = resource(_values, name="number")
    with run_lifespan_sync() as running:
        message = asked_by(call, number.get)
        assert "running.run(...)" in message
        assert "async view" not in message
        assert running.run(_ask(number)) == 1


async def _ask(number: Any) -> int:
    value: int = number.get()
    return value
