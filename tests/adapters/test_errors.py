"""The page about errors, and the messages of the adapters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
CODES = [f"[{code}]" for code in re.findall(r"^### (lifespan-\S+)$", PAGE, re.MULTILINE)]
_, _, OWN = PAGE.partition("of the adapters\n")
# The words of messages: below a code or the id of a check, or else the heading itself.
HEADINGS = re.findall(r"^(?:### (?!lifespan-|django_asgi_)|> )(.+)$", OWN, re.MULTILINE)

NO_MESSAGES = (
    "The application starts up before the port is open. When",  # these are help texts
    "Starts daphne for development, with the lifespan of the project.",
    "Starts uvicorn for development, with the lifespan of the project.",
    "Run uvicorn with an orderly start",
    "Maximum number of seconds to wait",
    "uvicorn with ASGI lifespan",
    "Starting ",  # the line of runserver, and the pattern that finds Django's
    '"… … HTTP/…" …',  # the line of a request
    "In INSTALLED_APPS, put",  # the hint of a check, whose id is the heading
    "module … has no attribute …",  # Python says so
)


def messages() -> Iterator[str]:
    """Yield the texts of four words or more that are not docstrings, their gaps as ellipses."""
    for file in sorted(ROOT.glob("packages/*/src/django_asgi_lifespan_*/**/*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        parts: set[ast.AST] = set()  # docstrings, and the parts of texts with gaps
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):
                parts.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts.update(each for each in ast.walk(node) if each is not node)
        for node in ast.walk(tree):
            if node not in parts and (text := _text(node)).count(" ") >= 3:
                yield text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(each) or "…" for each in node.values)
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    return re.sub(r"%[-.\d]*[a-z]|\{\w+\}", "…", value) if isinstance(value, str) else ""


def test_the_page_about_errors_has_every_message_of_the_adapters() -> None:
    """Each heading has words of a message, and each message a heading or a code of the page."""
    found = {
        message: [each for each in (*HEADINGS, *CODES) if each in message]
        for message in messages()
        if not message.startswith(NO_MESSAGES)
    }
    assert found
    assert [message for message, headings in found.items() if not headings] == []
    assert sorted({*HEADINGS}.difference(*found.values())) == []
