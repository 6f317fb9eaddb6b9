"""Plays random stories, and shrinks one that breaks a rule to its smallest form.

Without options each target plays its first seeds, which is a short run. With --minutes it plays
seeds that nobody has chosen, until the time is over.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch

from integration.harness.targets import read_targets

from .play import play
from .story import Story

TARGETS = (
    *("uvicorn.command", "uvicorn-workers.command", "uvicorn-runserver.command"),
    *("hypercorn.command", "hypercorn-workers.command", "hypercorn-uvloop.command"),
    *("daphne.command", "daphne-runserver.command"),
    *("gunicorn-uvicorn-workers.command", "gunicorn-asgi-workers.command"),
    *("granian.command", "granian-workers.command"),
)
AT_A_TIME = 4
"""Stories side by side: more than processors, because most of a story is waiting."""

Player = Callable[[Story], tuple[list[str], str]]
"""Plays a story, and returns the rules that it broke, and a report."""

TRIES = 3
"""How often a smaller story is played before it counts as one that breaks no rule."""


def shrink(story: Story, *, player: Player = play, within: float = 180.0) -> tuple[Story, str]:
    """Return the smallest story found in this time that breaks a rule, and its report."""
    end = time.monotonic() + within
    report = ""
    shrunk = True
    while shrunk and time.monotonic() < end:
        shrunk = False
        for smaller in story.smaller():
            for _ in range(TRIES):
                violations, said = player(smaller)
                if violations:
                    story, report, shrunk = smaller, "\n".join([*violations, said]), True
                    break
            if shrunk or time.monotonic() > end:
                break
    return story, report


class _Run:
    """Stories one after the other, in several threads."""

    def __init__(self, stories: Iterator[tuple[int, Story]], *, deadline: float) -> None:
        self._stories = stories
        self._deadline = deadline
        self._lock = threading.Lock()
        self.played = 0
        self.broken: list[tuple[int, Story, str]] = []

    def work(self) -> None:
        """Play stories until there is none, or no time."""
        while time.monotonic() < self._deadline:
            with self._lock:
                seed, story = next(self._stories, (0, None))
            if story is None:
                return
            violations, report = play(story)
            with self._lock:
                self.played += 1
                if violations:
                    self.broken.append((seed, story, "\n".join([*violations, report])))
                    print(f"{story.target} --seed {seed}: {'; '.join(violations)}", flush=True)


def draw(targets: list[str], seeds: Iterator[int]) -> Iterator[tuple[int, Story]]:
    """Yield a story of every seed for every target."""
    for seed in seeds:
        for target in targets:
            yield seed, Story.draw(target, seed)


def main() -> None:
    """Play the stories that the command line asks for; exit with 1 if one breaks a rule."""
    parser = argparse.ArgumentParser(prog="just chaos", description=__doc__)
    parser.add_argument("targets", nargs="*", help="patterns, such as 'granian*'")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--seed", type=int, help="play this one alone")
    modes.add_argument("--seeds", type=int, default=2, help="the first ones (2)")
    modes.add_argument("--minutes", type=float, help="play others for so long")
    modes.add_argument("--story", help="play this one, which an earlier run has printed")
    parser.add_argument("--no-shrink", action="store_true", help="print the first story as it is")
    options = parser.parse_args()

    known = read_targets() if options.targets else TARGETS
    patterns = options.targets or ["*"]
    targets = [name for name in known if any(fnmatch(name, each) for each in patterns)]
    if options.story:
        stories = iter([(0, Story.read(options.story))])
    elif options.seed is not None:
        stories = draw(targets, iter([options.seed]))
    elif options.minutes:
        stories = draw(targets, itertools.count(random.SystemRandom().randrange(10**6)))
    else:
        stories = draw(targets, iter(range(1, options.seeds + 1)))
    deadline = time.monotonic() + 60 * (options.minutes or 60)

    run = _Run(stories, deadline=deadline)
    with ThreadPoolExecutor(AT_A_TIME) as executor:
        for future in [executor.submit(run.work) for _ in range(AT_A_TIME)]:
            future.result()
    print(f"{run.played} stories, {len(run.broken)} of which broke a rule")
    for seed, story, report in run.broken[:1]:
        smallest, smallest_report = (story, "") if options.no_shrink else shrink(story)
        print(f"\nThe story of seed {seed}, shrunk:\n{smallest.tell()}")
        print(f"Again: just chaos --story '{smallest.write()}'\n{smallest_report or report}")
    if run.broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
