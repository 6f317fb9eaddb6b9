"""The table of the messages: each with its name, its place, its words and its remedy."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, TypeVar

from django_asgi_lifespan import Resource, resource, run_lifespan

__all__ = ("CODE", "COURSE", "OWN", "ROWS", "Row", "declare", "says", "start", "without_codes")

C = TypeVar("C", bound=Callable[..., Any])

COURSE = "the line tells the course of things, and nothing is to be done"
OWN = "the message leads to the code or to the limit of the user"

CODE = re.compile(r" ?\[(lifespan-[a-z-]+)\]")
"""The code in a message: a heading of the page about errors."""


def without_codes(text: str) -> str:
    """Return the words of a message."""
    return CODE.sub("", text)


class Row(NamedTuple):
    """One message.

    Attributes:
        name: says when it appears.
        place: where people meet it.
        message: its words without codes. An ellipsis stands for any words.
        remedy: those of its words that say what to do, or ``COURSE``, or ``OWN``.
        provoke: a function that raises it, logs it, or returns it. Its parameters are fixtures.
    """

    name: str
    place: str
    message: str
    remedy: str
    provoke: Callable[..., Any]

    def find(self, texts: list[str]) -> str | None:
        """Return that one of *texts* which is the message."""
        pattern = ".*".join(map(re.escape, self.message.split("…")))
        found = (each for each in texts if re.fullmatch(pattern, without_codes(each), re.DOTALL))
        return next(found, None)


ROWS: list[Row] = []


def says(place: str, message: str, remedy: str, *, about: object = "") -> Callable[[C], C]:
    """Put a message into the table. The function below it provokes the message.

    Args:
        about: tells the rows of one function apart.
    """

    def add(provoke: C) -> C:
        number = sum(row.provoke is provoke for row in ROWS)  # it may provoke several
        name = f"{provoke.__name__} {about or number or ''}".replace("_", " ").strip()
        ROWS.append(Row(name, place, message, remedy, provoke))
        return provoke

    return add


async def _values() -> AsyncIterator[int]:
    yield 1


def declare(name: str = "pool", factory: Any = _values, **options: Any) -> Resource[Any]:
    """Declare a resource."""
    declared: Resource[Any] = resource(factory, name=name, **options)
    return declared


async def start() -> None:
    """Run a lifespan from its start to its end."""
    async with run_lifespan():
        pass
