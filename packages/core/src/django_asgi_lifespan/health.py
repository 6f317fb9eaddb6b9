"""The checks of resources: whether the open objects of a lifespan work, asked once a second."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .errors import describe
from .last_resort import log
from .lifespans import answering, current_view
from .own_thread import OwnThreads
from .threads import run_in_thread

if TYPE_CHECKING:
    from .lifespans import Lifespan

__all__ = ("CACHED", "LIMIT", "failures")

LIMIT = 1.0
"""Seconds that a check may take."""

CACHED = 1.0
"""Seconds for which the results of the checks are kept."""

logger = logging.getLogger("django_asgi_lifespan")


async def failures(lifespan: Lifespan) -> Mapping[str, str]:
    """Return the reasons of the checks that fail, by the name of the resource.

    Nothing is opened. The checks run at the same time, and no check runs twice at a time.
    """
    health = _healths.get(lifespan)
    if health is None:
        health = _healths[lifespan] = _Health(lifespan)
    return await health.failures()


class _Health:
    """The results of the checks of one lifespan."""

    def __init__(self, lifespan: Lifespan) -> None:
        self._lifespan = lifespan
        self._failures: dict[str, str] = {}
        self._fresh_until = 0.0
        self._round: asyncio.Task[None] | None = None
        self._threads = OwnThreads()
        self._calls: dict[Any, asyncio.Task[str]] = {}

    async def failures(self) -> Mapping[str, str]:
        clock = self._lifespan.loop.time
        if self._round is not None or clock() >= self._fresh_until:
            if self._round is None:
                self._round = asyncio.create_task(self._run_all())
            await asyncio.wait([self._round])  # goes on if a client that waits for it leaves
        return self._failures

    async def _run_all(self) -> None:
        answering.set(self._lifespan)
        current_view.set(None)
        checked = [each for each in self._lifespan.resources if _has_check(each)]
        for resource in checked:
            if resource not in self._calls or self._calls[resource].done():
                self._calls[resource] = asyncio.create_task(self._call(resource))
        running = [self._calls[resource] for resource in checked]
        if running:
            await asyncio.wait(running, timeout=LIMIT)
        found: dict[str, str] = {}
        for resource in checked:
            call = self._calls[resource]
            if not call.done():
                call.cancel()  # it may take its time, and is not made anew meanwhile
                found[resource.name] = f"no answer within {LIMIT:g} s"
            elif reason := call.result():
                found[resource.name] = reason
        if self._lifespan.phase == "running":
            self._tell_changes(found)
        self._failures = found
        self._fresh_until = self._lifespan.loop.time() + CACHED
        self._round = None

    async def _call(self, resource: Any) -> str:
        """Return why the check of *resource* fails, or an empty string. Nothing is raised."""
        try:
            if resource not in self._lifespan.values:
                death = self._lifespan.died.get(resource)
                return f"it died while it was running: {death}" if death else "it is not open"
            check = functools.partial(resource.check, self._lifespan.values[resource])
            if inspect.iscoroutinefunction(resource.check):
                result = await check()
            else:
                result = await self._threads.lend_to(run_in_thread(check, name="checks"))
                if inspect.isawaitable(result):
                    result = await result
        except BaseException as error:  # nothing of a check may end the event loop
            return describe(error)
        return "the check returned False" if result is False else ""

    def _tell_changes(self, found: Mapping[str, str]) -> None:
        for name in found.keys() - self._failures.keys():
            message = "The check of %s fails: %s [lifespan-check-fails]"
            log(logger, logging.WARNING, message, name, found[name])
        for name in self._failures.keys() - found.keys():
            log(logger, logging.INFO, "The check of %s passes again", name)


_healths: WeakKeyDictionary[Lifespan, _Health] = WeakKeyDictionary()


def _has_check(resource: Any) -> bool:
    """Return whether *resource* is checked. The check is not made for a stand-in of a test."""
    has_check = getattr(resource, "check", None) is not None
    return has_check and not resource.overrides and resource.replacement is None
