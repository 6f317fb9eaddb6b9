"""What recurs where the Django app ``chain`` is served: its story, its answer, and no traceback."""

from __future__ import annotations

from testkit.client import Answer

FOUND = Answer(200, {"get": "search in cache of pool", "state": "search in cache of pool"})
"""The answer of every view that reaches the last of the three resources."""

TRACEBACK = "Traceback (most recent call last)"

STARTED = [
    "pool opening",
    "pool open",
    "cache opening",
    "cache open",
    "search opening",
    "search open",
]
STOPPED = [
    "search closing",
    "search closed",
    "cache closing",
    "cache closed",
    "pool closing",
    "pool closed",
]


def held(story: list[str], *, at: str, times: int = 1) -> list[str]:
    """Return the story of a resource that was told to hold in the phase that begins with *at*."""
    after = story.index(at) + 1
    return [*story[:after], *[f"{at.split(maxsplit=1)[0]} held"] * times, *story[after:]]
