"""The world of one scenario: a server, a lifespan, its cancellations, the journal and the log."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django_asgi_lifespan.lifespans import Lifespan
from django_asgi_lifespan.protocol import Message, speak_lifespan
from django_asgi_lifespan.supervisor import Supervisor
from supervisor_model.fakes import Fake, mark
from supervisor_model.scenario import Anchor, Cancellation, Scenario
from virtual_clock import run

HORIZON = 1000.0
"""Seconds after which a task that still waits is held to wait for ever, and is cancelled."""

LINGER = 200.0
"""Seconds that the event loop goes on after the lifespan, for abandoned resources."""


@dataclass(frozen=True)
class Entry:
    time: float
    name: str
    what: str
    detail: Any = None

    def __str__(self) -> str:
        detail = "" if self.detail is None else f" ({self.detail!r})"
        return f"{self.time:7.3f} {self.name} {self.what}{detail}"


class World:
    """The events of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.loop = asyncio.get_running_loop()
        self.journal: list[Entry] = []
        self.answers: list[Message] = []
        self.problems: list[str] = []
        self.records: list[logging.LogRecord] = []
        self.rescued = False
        self.cancellations: list[float] = []
        self.cancelled_everything = 0
        self.outcome: BaseException | None = None
        self.ended = math.inf
        self.lifespan = Lifespan()
        self.fakes = [Fake(self, f"r{i}", plan) for i, plan in enumerate(scenario.plans)]
        self.last = Fake(self, "last", scenario.last) if scenario.last else None
        self.shutdown_sent: asyncio.Future[None] = self.loop.create_future()

    def __str__(self) -> str:
        return "\n".join(map(str, self.journal))

    @property
    def all(self) -> list[Fake]:
        return [*self.fakes, *([self.last] if self.last else [])]

    def note(self, name: str, what: str, detail: Any = None) -> None:
        self.journal.append(Entry(self.loop.time(), name, what, detail))
        self._check_values()

    def _check_values(self) -> None:
        """A resource that is open, and does not close yet, has a value, and no other has."""
        now = self.journal[-1]
        if now.what in ("open", "abandoned"):  # a moment too early
            return
        steps = {e.name: e.what for e in self.journal if e.what in ("open", "closes")}
        steps |= {e.name: e.what for e in self.journal if e.what == "abandoned"}
        running = {fake for fake in self.all if steps.get(fake.name) == "open"}
        if self.lifespan.values.keys() != running:
            self.problems.append(f"values of {list(self.lifespan.values)} at {now}")

    def supervisor(self) -> Supervisor:
        return Supervisor(
            self.lifespan,
            {fake: [self.fakes[i] for i in fake.plan.requires] for fake in self.fakes},
            receivers=self.last,
            startup_timeout=self.scenario.startup_timeout,
            shutdown_timeout=self.scenario.shutdown_timeout,
        )

    async def receive(self) -> Message:
        await asyncio.sleep(0)
        if not self.answers:
            self.schedule(Anchor.START)
            return {"type": "lifespan.startup"}
        self.schedule(Anchor.COMPLETE)
        self.loop.call_later(self.scenario.service, self._send_shutdown)
        if self.scenario.waits_with_timeout:
            await asyncio.wait_for(self._wait(), 10 * HORIZON)
        else:
            await self.shutdown_sent
        return {"type": "lifespan.shutdown"}

    async def _wait(self) -> None:
        await self.shutdown_sent

    def _send_shutdown(self) -> None:
        if not self.shutdown_sent.done():
            self.note("server", "shutdown")
            self.schedule(Anchor.SHUTDOWN)
            if self.scenario.receive_fails:
                self.note("server", "is broken")
                self.shutdown_sent.set_exception(ConnectionError("receive is broken"))
            else:
                self.shutdown_sent.set_result(None)

    async def send(self, message: Message) -> None:
        self.answers.append(message)
        self.note("server", f"gets {message['type']}", message.get("message"))
        if self.scenario.failing_send == len(self.answers) - 1:
            self.note("server", "is broken")
            raise ConnectionError("send is broken")
        await asyncio.sleep(0)

    def schedule(self, anchor: Anchor) -> None:
        for cancellation in self.scenario.cancellations:
            if cancellation.anchor is anchor:
                self.loop.call_later(
                    cancellation.seconds, self._cancel, cancellation, cancellation.turns
                )

    def _cancel(self, cancellation: Cancellation, turns: int) -> None:
        if turns:
            self.loop.call_soon(self._cancel, cancellation, turns - 1)
        elif not self.task.done():
            self.note("loop" if cancellation.everything else "lifespan", "is cancelled")
            self.cancellations.append(self.loop.time())
            self.cancelled_everything += cancellation.everything
            tasks = self.tasks() if cancellation.everything else [self.task]
            random.Random(cancellation.seed).shuffle(tasks)
            for task in tasks:
                task.cancel()

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return every task but the one that plays the scenario, in a lasting order."""
        others = asyncio.all_tasks() - {asyncio.current_task(), self.player}
        return sorted(
            (task for task in others if task is not None),
            key=lambda task: (
                [int(s) if s.isdigit() else 0 for s in re.split(r"(\d+)", str(task.get_name()))]
                + [0]
            ),
        )

    async def play(self) -> None:
        self.player = asyncio.current_task()
        self.loop.set_task_factory(self.scenario.task_factory)
        self.lifespan.begin()
        with self._logged():
            self.task = self.loop.create_task(
                speak_lifespan(self.receive, self.send, self.supervisor()), name="lifespan"
            )
            await asyncio.wait([self.task], timeout=HORIZON)
            if not self.task.done():
                await self._rescue()
            self.ended = self.loop.time()
            self.outcome = _outcome(self.task)
            self.note("lifespan", "ended", self.outcome)
            self._look_at_what_is_left()
            await asyncio.sleep(LINGER)
            self.after_linger = len(self.journal)
            await self._kill()
        self.lifespan.end()
        if mark.get():
            self.problems.append(f"the lifespan's task sees the context of {mark.get()}")

    async def _rescue(self) -> None:
        self.rescued = True
        for _ in range(2):
            if not self.task.done():
                self.note("lifespan", "is cancelled")
                self.cancellations.append(self.loop.time())
                self.task.cancel()
                await asyncio.wait([self.task], timeout=0.1)
        await asyncio.wait([self.task], timeout=10)
        if not self.task.done():
            raise AssertionError(f"two cancellations do not end it:\n{self}")

    def _look_at_what_is_left(self) -> None:
        abandoned = {entry.name for entry in self.journal if entry.what == "abandoned"}
        for task in self.tasks():
            owner = task.get_name().rpartition(": ")[2]
            if owner not in abandoned and not task.get_name().startswith(
                ("Task-", "supervisor_model.fakes._Opening")
            ):
                self.problems.append(f"left behind without a word: {task.get_name()}")
        if self.lifespan.values:
            self.problems.append(f"values after the end: {self.lifespan.values}")

    async def _kill(self) -> None:
        for _ in range(5):
            for task in self.tasks():
                task.cancel()
            await asyncio.sleep(LINGER)
        if left := self.tasks():
            self.problems.append(f"cannot be cancelled: {left}")

    @contextmanager
    def _logged(self) -> Iterator[None]:
        handler = _Handler(self)
        logger = logging.getLogger("django_asgi_lifespan")
        kept = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(kept[0])
            logger.propagate = kept[1]


def _outcome(task: asyncio.Task[None]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


class _Handler(logging.Handler):
    """Keeps the records. An error becomes an entry of the journal."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def emit(self, record: logging.LogRecord) -> None:
        self.world.records.append(record)
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.world.note("log", "error", message)
        found = re.match(r"(\w+) .* and was abandoned\b", message)
        if found:
            self.world.note(found[1], "abandoned")


def play(scenario: Scenario) -> World:
    """Return the events of *scenario*. Raise Leak for tasks or exceptions left behind."""

    async def main() -> World:
        world = World(scenario)
        await world.play()
        return world

    return run(main())
