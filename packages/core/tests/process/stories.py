"""Parts of the journal that recur: the three resources of the Django app ``chain``."""

from __future__ import annotations

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
