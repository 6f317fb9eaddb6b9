"""Scenarios for a supervisor: fake resources with a journal, and the rules for each journal.

A scenario has the plan of each resource for its opening, its service and its closing, and when
the lifespan's task is cancelled. ``play`` runs it on the virtual clock. ``violations`` reads the
journal and returns each breach of the rules, as a sentence.
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
import logging
import math
import random
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import anyio
import anyio.abc

from django_asgi_lifespan.lifespans import Lifespan
from django_asgi_lifespan.protocol import Message, speak_lifespan
from django_asgi_lifespan.supervisor import GRACE, Supervisor
from virtual_clock import run

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

HORIZON = 1000.0
"""Seconds after which a task that still waits is held to wait for ever, and is cancelled."""

LINGER = 200.0
"""Seconds that the event loop goes on after the lifespan, for abandoned resources."""

EPSILON = 1e-6

HAS_GROUPS = sys.version_info >= (3, 11)


def plain_tasks(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make tasks as the loop does, as a factory, which is asked for the tasks of resources too."""
    return asyncio.Task(coroutine, loop=loop, **options)


TASK_FACTORIES: list[Any] = [None, plain_tasks]
if sys.version_info >= (3, 12):
    TASK_FACTORIES.append(asyncio.eager_task_factory)

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="")


class OddError(BaseException):
    """Neither an Exception nor one of those that the event loop knows."""


class UnprintableError(Exception):
    """An error in the code that reports an error."""

    def __str__(self) -> str:
        raise AttributeError("no attribute 'reason'")


def _group(text: str) -> BaseException:
    return BaseExceptionGroup("a group", [OddError(text), ValueError(text)])


ERRORS: dict[str, Callable[[str], BaseException]] = {
    "Exception": RuntimeError,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "BaseException": OddError,
    "BaseExceptionGroup": _group,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "an exception that cannot be printed": UnprintableError,
}
"""The exceptions that a resource may raise. Only CancelledError is not always a failure."""


class OnCancel(enum.Enum):
    """The reaction of a resource's code when a cancellation reaches it."""

    LEAVE = "lets the CancelledError pass"
    CLEAN_UP = "lets it pass after a moment of cleaning up"
    FINISH = "goes straight to its end"
    IGNORE = "waits on for some seconds, whatever comes, and goes to its end"


@dataclass(frozen=True)
class Act:
    """The plan for the opening or closing of a resource: wait, and then succeed or raise."""

    seconds: float = 0.0
    turns: int = 0
    error: str = ""
    on_cancel: OnCancel = OnCancel.LEAVE
    stubborn: float = 0.0

    @property
    def hangs(self) -> bool:
        return math.isinf(self.seconds)


class Host(enum.Enum):
    """The context that a resource keeps open around its yield, and how it dies of it."""

    NOTHING = "its own task is cancelled"
    TASK_GROUP = "asyncio.TaskGroup with a child that crashes"
    ANYIO = "anyio.create_task_group() with a child that crashes"
    TIMEOUT = "asyncio.timeout() that runs out"


@dataclass(frozen=True)
class Plan:
    """One resource: its place in the graph and its behaviour."""

    requires: tuple[int, ...] = ()
    opening: Act = Act()
    closing: Act = Act()
    host: Host = Host.NOTHING
    dies_after: float = math.inf
    startup_timeout: float | None = None
    shutdown_timeout: float | None = None
    suppresses: bool = False


class Anchor(enum.Enum):
    START = "the start"
    COMPLETE = "the end of the startup"
    SHUTDOWN = "the begin of the shutdown"


@dataclass(frozen=True)
class Cancellation:
    """When the lifespan's task is cancelled, or every task of the loop in a random order."""

    anchor: Anchor = Anchor.START
    seconds: float = 0.0
    turns: int = 0
    everything: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Scenario:
    plans: tuple[Plan, ...] = ()
    last: Plan | None = None
    startup_timeout: float | None = None
    shutdown_timeout: float | None = None
    service: float = 10.0
    cancellations: tuple[Cancellation, ...] = ()
    waits_with_timeout: bool = False
    receive_fails: bool = False
    failing_send: int | None = None
    task_factory: Any = None


@dataclass(frozen=True)
class Entry:
    time: float
    name: str
    what: str
    detail: Any = None

    def __str__(self) -> str:
        detail = "" if self.detail is None else f" ({self.detail!r})"
        return f"{self.time:7.3f} {self.name} {self.what}{detail}"


class Fake:
    """A resource that follows its plan and writes each step down."""

    def __init__(self, world: World, name: str, plan: Plan) -> None:
        self.world = world
        self.name = name
        self.plan = plan
        self.startup_timeout = plan.startup_timeout
        self.shutdown_timeout = plan.shutdown_timeout

    def __repr__(self) -> str:
        return self.name

    async def open(self) -> AsyncGenerator[str]:
        async with _Opening(self) as value:
            yield value


class _Opening:
    """The async context manager of one opening of a fake resource."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.plan = fake.plan
        self.world = fake.world
        self.note = lambda what, detail=None: fake.world.note(fake.name, what, detail)

    async def __aenter__(self) -> str:
        self.note("opens")
        self.task = asyncio.current_task()
        if mark.get():
            self.world.problems.append(f"{self.fake.name} sees the context of {mark.get()}")
        mark.set(self.fake.name)
        try:
            await self._perform(self.plan.opening)
            self._enter_host()
        except BaseException as error:
            self.note("failed", error)
            raise
        await self.host.__aenter__()
        self._set_death()
        self.note("open")
        return f"value of {self.fake.name}"

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.note("closes", exception)
        if (exception is not None) != (self.fake in self.world.lifespan.died):
            self.world.problems.append(
                f"{self.fake.name} closes for {exception!r}; died: {self.world.lifespan.died}"
            )
        if asyncio.current_task() is not self.task:
            self.world.problems.append(f"{self.fake.name} closes in another task")
        if mark.get() != self.fake.name:
            self.world.problems.append(f"{self.fake.name} closes in the context {mark.get()!r}")
        try:
            error = await self._leave_host(exception_type, exception, traceback)
            await self._perform(self.plan.closing)
            if error is not None:
                raise error
        except BaseException as failure:
            self.note("close failed", failure)
            raise
        self.note("closed")
        return self.plan.suppresses

    async def _perform(self, act: Act) -> None:
        loop = self.world.loop
        end = loop.time() + act.seconds
        turns = act.turns
        while turns or loop.time() < end:
            try:
                if turns:
                    turns -= 1
                    await asyncio.sleep(0)
                else:
                    await self._until(end)
            except asyncio.CancelledError:
                self.note("cancelled")
                turns = 0
                if act.on_cancel is OnCancel.FINISH:
                    break
                if act.on_cancel is OnCancel.CLEAN_UP:
                    await self._clean_up(act.stubborn)
                if act.on_cancel is not OnCancel.IGNORE:
                    raise
                end = min(end, loop.time() + act.stubborn)
        if act.error:
            raise ERRORS[act.error](f"{self.fake.name} is broken")

    async def _until(self, end: float) -> None:
        if math.isinf(end):
            await self.world.loop.create_future()
        else:
            await asyncio.sleep(end - self.world.loop.time())

    async def _clean_up(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.note("cancelled while it cleans up")
            raise

    def _enter_host(self) -> None:
        self.host: Any = _Nothing()
        if self.plan.host is Host.ANYIO:
            self.host = anyio.create_task_group()
        elif sys.version_info >= (3, 11) and self.plan.host is Host.TASK_GROUP:
            self.host = asyncio.TaskGroup()
        elif sys.version_info >= (3, 11) and self.plan.host is Host.TIMEOUT:
            after = None if math.isinf(self.plan.dies_after) else self.plan.dies_after
            self.host = asyncio.timeout(after)

    def _set_death(self) -> None:
        after = self.plan.dies_after
        if isinstance(self.host, _Nothing):
            if not math.isinf(after):
                self.death = self.world.loop.call_later(after, self._die)
        elif isinstance(self.host, anyio.abc.TaskGroup):
            self.host.start_soon(self._crash, after)
        elif self.plan.host is Host.TASK_GROUP:
            self.child = self.host.create_task(self._crash(after), name=f"child: {self.fake.name}")

    def _die(self) -> None:
        assert self.task is not None
        self.note("dies")
        self.task.cancel()

    async def _crash(self, after: float) -> None:
        await self._until(self.world.loop.time() + after)
        self.note("dies")
        raise RuntimeError(f"a child of {self.fake.name} is broken")

    async def _leave_host(self, *info: Any) -> BaseException | None:
        if isinstance(self.host, _Nothing):
            if not math.isinf(self.plan.dies_after):
                self.death.cancel()
        elif isinstance(self.host, anyio.abc.TaskGroup):
            self.host.cancel_scope.cancel()
        elif self.plan.host is Host.TASK_GROUP:
            self.child.cancel()
        try:
            await self.host.__aexit__(*info)
        except asyncio.CancelledError as error:
            if error is not info[1]:
                raise
            return error
        except BaseException as error:
            return error
        return None


class _Nothing:
    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *info: object) -> None:
        pass


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
                ("Task-", "supervisor_model._Opening")
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


class Story:
    """The entries of the journal about one resource."""

    def __init__(self, world: World, fake: Fake) -> None:
        self.name = fake.name
        self.plan = fake.plan
        self.entries = [
            (i, entry)
            for i, entry in enumerate(world.journal[: world.after_linger])
            if entry.name == fake.name
        ]
        self.dependants: list[Story] = []
        self.requires: list[Story] = []
        self.closing_limit = fake.plan.shutdown_timeout
        if self.died and self.closing_limit is None:
            self.closing_limit = world.scenario.shutdown_timeout

    def count(self, *what: str) -> int:
        return sum(entry.what in what for _, entry in self.entries)

    def index(self, *what: str) -> float:
        return next((i for i, entry in self.entries if entry.what in what), math.inf)

    def time(self, *what: str) -> float:
        return next((entry.time for _, entry in self.entries if entry.what in what), math.inf)

    def detail(self, *what: str) -> Any:
        return next((entry.detail for _, entry in self.entries if entry.what in what), None)

    @property
    def died(self) -> bool:
        return self.detail("closes") is not None

    @property
    def abandoned(self) -> bool:
        return self.count("abandoned") > 0

    @property
    def last(self) -> float:
        """When it ended or was abandoned, if that came first."""
        return self.time("failed", "closed", "close failed", "abandoned")

    @property
    def end(self) -> float:
        """The index at which nobody has to wait for it any more."""
        return self.index("failed", "closed", "close failed", "abandoned")

    def steps(self) -> Iterator[tuple[str, float, float, float]]:
        """Yield the name of each step, when it began, when it ended and when it has to."""
        for step, begin, end, limit in (
            ("start", "opens", ("open", "failed"), self.plan.startup_timeout),
            ("stop", "closes", ("closed", "close failed"), self.closing_limit),
        ):
            if self.count(begin):
                due = math.inf if limit is None else self.time(begin) + limit
                yield step, self.time(begin), min(self.time(*end), self.time("abandoned")), due

    def late(self) -> list[float]:
        """Return the times at which one of its own limits passed while it was busy."""
        return [due for _, _, end, due in self.steps() if due < end + EPSILON]

    def busy_at(self, time: float) -> bool:
        """Tell whether it was opening or closing then."""
        return any(begin < time < end + EPSILON for _, begin, end, _ in self.steps())


def violations(world: World) -> list[str]:
    """Return each breach of the rules, as a sentence."""
    return [*world.problems, *_Rules(world).broken()]


_PHRASES = (
    "did not start within",
    "did not stop within",
    "died while it was running",
    "was abandoned",
)


class _Rules:
    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = world.journal[: world.after_linger]
        self.scenario = world.scenario
        self.stories = {fake.name: Story(world, fake) for fake in world.all}
        for fake in world.fakes:
            self._link(fake.name, [f"r{i}" for i in fake.plan.requires])
        if world.last:
            self._link("last", [fake.name for fake in world.fakes])
        self.cause = self._first_cause()
        self.certain_cause = self._first_cause(-EPSILON)

    def _link(self, name: str, requires: Sequence[str]) -> None:
        for required in requires:
            self.stories[name].requires.append(self.stories[required])
            self.stories[required].dependants.append(self.stories[name])

    def _time(self, name: str, what: str) -> float:
        return next(
            (e.time for e in self.world.journal if (e.name, e.what) == (name, what)), math.inf
        )

    def _index(self, name: str, what: str) -> float:
        return next(
            (i for i, e in enumerate(self.world.journal) if (e.name, e.what) == (name, what)),
            math.inf,
        )

    def _first_cause(self, tolerance: float = EPSILON) -> float:
        """Return when the lifespan began to end, at the earliest.

        A death at the very end of the startup may be a reason or not: *tolerance* decides.
        """
        complete = self._time("server", "gets lifespan.startup.complete")
        causes = [*self.world.cancellations, self._time("server", "shutdown"), self.world.ended]
        for story in self.stories.values():
            causes.append(story.time("failed"))
            causes += [due for due in story.late() if due < complete]
            if story.died and story.time("closes") < complete + tolerance:
                causes.append(story.time("closes"))
        if self.scenario.startup_timeout is not None and complete == math.inf:
            causes.append(self.scenario.startup_timeout)
        if self.scenario.failing_send == 0:
            causes.append(complete)
        return min(causes)

    def broken(self) -> Iterator[str]:
        for story in self.stories.values():
            yield from self._ended_once(story)
            yield from self._in_order(story)
            yield from self._told_the_truth(story)
            yield from self._undisturbed(story)
            yield from self._rolled_back(story)
            yield from self._logged_once(story)
            yield from self._told_in_one_record(story)
            yield from self._hurried(story)
        yield from self._right_outcome()
        yield from self._right_answers()
        yield from self._in_time()

    def _ended_once(self, story: Story) -> Iterator[str]:
        name = story.name
        if story.count("opens") > 1:
            yield f"{name} opens twice"
        if story.count("closes") != story.count("open"):
            yield f"{name} was opened {story.count('open')}, closed {story.count('closes')} times"
        ended = story.count("failed", "closed", "close failed")
        if ended != story.count("opens") and not story.abandoned:
            yield f"{name} has not ended"

    def _in_order(self, story: Story) -> Iterator[str]:
        for required in story.requires:
            if story.index("opens") < math.inf and required.index("open") > story.index("opens"):
                yield f"{story.name} opens before {required.name} is open"
        if story.died or story.index("abandoned") < story.index("closes"):
            return
        for dependant in story.dependants:
            if dependant.count("opens") and dependant.end > story.index("closes"):
                yield f"{story.name} closes before {dependant.name} has ended"
        if story.count("closes") and abs(story.time("closes") - self._turn(story)) > EPSILON:
            yield f"{story.name} did not close at {self._turn(story)}, when it was its turn"

    def _turn(self, story: Story) -> float:
        """Return when it has to close. A dead resource still keeps its requirements open."""
        others = [other for other in story.dependants if other.count("opens")]
        times = [max(other.last, self._turn(other)) for other in others]
        begun = story.time("open", "failed", "abandoned")
        return max([self.certain_cause, begun, *times])

    def _told_the_truth(self, story: Story) -> Iterator[str]:
        """Its exit is told of an exception if the resource died, and only then."""
        may_die = (
            story.count("dies")
            or (story.plan.host is Host.TIMEOUT and story.plan.dies_after < math.inf)
            or self.world.cancelled_everything > (0 if story.plan.host is Host.ANYIO else 1)
        )
        if story.died and not may_die:
            yield f"{story.name} was told of {story.detail('closes')!r} and did not die"
        if story.died and not isinstance(story.detail("closes"), asyncio.CancelledError):
            yield f"{story.name} was told of {story.detail('closes')!r}"
        dies = story.time("open") + story.plan.dies_after
        if dies < self.cause - EPSILON:
            if not story.died or abs(story.time("closes") - dies) > EPSILON:
                yield f"{story.name} did not die at {dies}"
        elif story.time("closes") < self.cause - EPSILON:
            yield f"{story.name} closes before the lifespan ends"
        hits = [e.time for e in self.journal if e.what == "dies" and e.name == story.name]
        if story.plan.host is not Host.ANYIO:  # whose child, cancelled as well, cancels it again
            hits += [e.time for e in self.journal if e.name == "loop"]
        hits = sorted({time for time in hits if time > story.time("open") + EPSILON})
        if len(hits) > 1 and story.time("closes") > hits[1] + EPSILON:
            yield f"{story.name} did not leave at its second cancellation, at {hits[1]}"

    def _undisturbed(self, story: Story) -> Iterator[str]:
        """Nothing is cancelled or abandoned without a reason."""
        disturbed = [e.time for _, e in story.entries if e.what.startswith("cancelled")]
        opening = [t for t in disturbed if t < story.time("open", "failed") + EPSILON]
        if opening and opening[0] < min([self.cause, *story.late()]) - EPSILON:
            yield f"{story.name} was cancelled without a reason"
        hurry = (
            story.late()
            or self.scenario.shutdown_timeout is not None
            or len(self.world.cancellations) > 1
            or self.world.cancelled_everything
        )
        if not hurry and disturbed != opening:
            yield f"{story.name} was cancelled while it closes"
        if not hurry and self.scenario.startup_timeout is None and story.abandoned:
            yield f"{story.name} was abandoned without a reason"
        if story.count("abandoned") > 1:
            yield f"{story.name} was abandoned twice"

    def _rolled_back(self, story: Story) -> Iterator[str]:
        """Nothing opens any more when there is a reason to end, and each opening is cancelled."""
        if self.certain_cause + EPSILON < story.time("opens") < math.inf:
            yield f"{story.name} opens after {self.certain_cause}"
        if story.time("opens") < self.certain_cause - EPSILON:
            busy = story.time("open", "failed", "abandoned") > self.certain_cause + EPSILON
            if busy and story.time("cancelled") > self.certain_cause + EPSILON:
                yield f"{story.name} was not cancelled at {self.certain_cause}, when it was opening"

    def _logged_once(self, story: Story) -> Iterator[str]:
        """Every exception is logged, once, with its traceback and the name of the resource."""
        for index, entry in story.entries:
            if entry.what not in ("failed", "close failed") or story.index("abandoned") < index:
                continue
            if isinstance(entry.detail, asyncio.CancelledError):
                continue
            told = [
                record
                for record in self.world.records
                if record.exc_info and record.exc_info[1] is entry.detail
            ]
            if len(told) != 1 or told[0].levelno != logging.ERROR:
                yield f"{entry.detail!r} of {story.name} was logged {len(told)} times"
            elif story.name not in _names(told[0].getMessage()):
                yield f"the log does not name {story.name}: {told[0].getMessage()}"

    def _told_in_one_record(self, story: Story) -> Iterator[str]:
        """The failures of one resource are one sentence, logged when it has ended."""
        told = [e for e in self.journal if e.what == "error" and e.detail.startswith(story.name)]
        texts = [entry.detail for entry in told]
        if len(told) > 1:
            yield f"{story.name} has {len(told)} records: {texts}"
        if any(abs(entry.time - story.last) > EPSILON for entry in told):
            yield f"{story.name} ended at {story.last}, and the log has {texts} at {told[0].time}"
        said = set(re.findall("|".join(_PHRASES), texts[0].partition(":")[0])) if told else set()
        for phrase, certain, possible in self._phrases(story):
            if certain and phrase not in said:
                yield f"{story.name} {phrase}, and the log does not say so: {texts}"
            if phrase in said and not possible:
                yield f"it is not true that {story.name} {phrase}"

    def _phrases(self, story: Story) -> Iterator[tuple[str, bool, bool]]:
        """Yield each possible sentence, whether it must be said, and whether it may be."""
        hurry = self._hurry()
        late = {step: (end, due) for step, _, end, due in story.steps()}
        for step in ("start", "stop"):
            end, due = late.get(step, (math.inf, math.inf))
            certain = due < end - EPSILON and due < hurry - EPSILON
            yield f"did not {step} within", certain, due < end + EPSILON
        since = story.time("closes")
        cancelled = min([*self.world.cancellations, math.inf])
        yield (
            "died while it was running",
            story.died and since < cancelled - EPSILON,
            story.died and since < cancelled + EPSILON,
        )
        yield "was abandoned", story.abandoned, story.abandoned

    def _hurry(self, *, certainly: bool = False) -> float:
        """Return when the busy resource was cancelled, apart from limits of its own."""
        limits = [
            entry.time
            for entry in self.journal
            if entry.what == "error" and "_TIMEOUT), waiting for" in entry.detail
        ]
        second = self._later_cancellations() if certainly else self.world.cancellations[1:]
        return min([*limits, *(time + GRACE / 2 for time in second), math.inf])

    def _later_cancellations(self) -> list[float]:
        """Return those that are certainly not the first one that the lifespan gets to know.

        Two at one moment may be one for the task, and one may be lost.
        """
        times = self.world.cancellations
        if times and self._cancellation_may_be_lost():
            times = [time for time in times if time > times[0] + EPSILON]
        return [time for time in times if time > times[0] + EPSILON]

    def _hurried(self, story: Story) -> Iterator[str]:
        """A resource that meets a limit is cancelled then, and abandoned after the grace."""
        cancelled = [e.time for _, e in story.entries if e.what.startswith("cancelled")]
        hurry = self._hurry(certainly=True)
        for step, begin, end, due in story.steps():
            for limit in (due, hurry):
                if not begin < limit < end - EPSILON:
                    continue
                if not any(time < limit + EPSILON for time in cancelled):
                    yield f"{story.name} was not cancelled at {limit}, when it had to {step}"
                if end > limit + GRACE + EPSILON:
                    yield f"{story.name} was not abandoned at {limit + GRACE}"

    def _right_outcome(self) -> Iterator[str]:
        """The exception that ends the lifespan is the server's own, or there is none."""
        world = self.world
        expected: type[BaseException] | None = None
        if world.cancellations and not (
            self._cancellation_may_be_lost()
            and not isinstance(world.outcome, asyncio.CancelledError)
        ):
            expected = asyncio.CancelledError
        elif any(entry.what == "is broken" for entry in self.journal):
            expected = ConnectionError
        if not isinstance(world.outcome, expected or type(None)):
            yield f"it ended with {world.outcome!r}"

    def _right_answers(self) -> Iterator[str]:
        world = self.world
        kinds = [message["type"].removeprefix("lifespan.") for message in world.answers]
        if world.outcome is None and kinds == ["startup.complete"]:
            yield "no answer to the shutdown"
        if kinds not in (
            [],
            ["startup.failed"],
            ["startup.complete"],
            ["startup.complete", "shutdown.complete"],
            ["startup.complete", "shutdown.failed"],
        ):
            yield f"answered {kinds}"
        if isinstance(world.outcome, asyncio.CancelledError):
            yield from (
                f"cancelled, and said {entry}"
                for entry in self.journal
                if entry.what.startswith("gets") and entry.time > world.cancellations[0]
            )
        for number, message in enumerate(world.answers):
            yield from self._right_message(number, message)

    def _cancellation_may_be_lost(self) -> bool:
        """Before Python 3.12, wait_for may lose one that comes together with the result."""
        return (
            sys.version_info < (3, 12)
            and self.scenario.waits_with_timeout
            and abs(self.world.cancellations[0] - self._time("server", "shutdown")) < EPSILON
        )

    def _right_message(self, number: int, message: Message) -> Iterator[str]:
        end = self._index("server", f"gets {message['type']}")
        begin = self._index("server", "shutdown") if number else -1.0
        at = self._at(end)
        guilty = {story.name for story in self.stories.values() if self._guilty(story, begin, end)}
        text = message.get("message", "")
        if message["type"] == "lifespan.startup.complete":
            if at > (self.scenario.startup_timeout or math.inf) + EPSILON:
                yield f"complete at {at}, after the limit"
            late = [s.name for s in self.stories.values() if s.index("open") > end]
            if late:
                yield f"complete without {late}"
        failed = message["type"].endswith("failed")
        if not failed and guilty:
            yield f"{message['type']} in spite of {guilty}"
        if failed and not text:
            yield f"{message['type']} without a message"
        if failed and not guilty <= _names(text):
            yield f"{message['type']} does not name {guilty - _names(text)}: {text}"
        suspect = {s.name for s in self.stories.values() if self._suspect(s, at)}
        if not _names(text) <= suspect:
            yield f"{message['type']} accuses {_names(text) - suspect}: {text}"

    def _guilty(self, story: Story, begin: float, end: float) -> bool:
        """Tell whether it certainly failed between two entries of the journal."""
        if begin < story.index("abandoned") < end:
            return True
        if (
            story.died
            and self._at(begin) + EPSILON < story.time("closes") < self._at(end) - EPSILON
        ):
            return True
        if any(self._at(begin) < due < self._at(end) + EPSILON for due in story.late()):
            return True
        for what, act in (("failed", story.plan.opening), ("close failed", story.plan.closing)):
            if not begin < story.index(what) < min(end, story.index("abandoned")):
                continue
            if story.died and story.time(what) < self._at(begin) + EPSILON:
                continue
            if not isinstance(story.detail(what), asyncio.CancelledError):
                return True
            own = act.error == "CancelledError" and not story.count("cancelled")
            if own and (what == "close failed" or story.time("failed") < self.cause - EPSILON):
                return True
        return False

    def _at(self, index: float) -> float:
        return -math.inf if index < 0 else self.world.journal[int(index)].time

    def _shutdown(self) -> float:
        return self._time("server", "shutdown")

    def _suspect(self, story: Story, at: float) -> bool:
        """Tell whether there is anything that it can be blamed for."""
        limits = []
        if self.scenario.startup_timeout is not None:
            limits.append(self.scenario.startup_timeout)
        if self.scenario.shutdown_timeout is not None:
            limits += [
                entry.time
                for entry in self.world.journal
                if entry.what == "error" and "SHUTDOWN_TIMEOUT" in entry.detail
            ]
        return (
            story.died
            or story.abandoned
            or bool(story.count("failed", "close failed"))
            or bool(story.late())
            or any(story.busy_at(limit) for limit in limits)
        )

    def _in_time(self) -> Iterator[str]:
        world = self.world
        limit = self.scenario.shutdown_timeout
        if world.rescued:
            yield from self._rescue_was_due()
        if limit is not None and world.ended > self._last_cause() + limit + 2 * GRACE + EPSILON:
            yield f"the end took {world.ended - self._last_cause()} s"
        later = self._later_cancellations()
        if later and world.ended > later[0] + GRACE + EPSILON:
            yield f"the end took {world.ended - later[0]} s after the second cancellation"

    def _last_cause(self) -> float:
        """Return when the lifespan certainly was ending."""
        causes = [*self.world.cancellations, self._shutdown()]
        if self._time("server", "gets lifespan.startup.complete") == math.inf:
            causes += [story.time("failed") for story in self.stories.values()]
            causes += [due for story in self.stories.values() for due in story.late()]
            causes += [self.scenario.startup_timeout or math.inf]
        elif self.scenario.failing_send == 0:
            causes.append(self._time("server", "gets lifespan.startup.complete"))
        return min(causes)

    def _rescue_was_due(self) -> Iterator[str]:
        """Only a resource that hangs without a limit may keep the lifespan from ending."""
        first = self.world.cancellations[-2] if len(self.world.cancellations) > 1 else math.inf
        hanging = [s.name for s in self.stories.values() if s.busy_at(min(first, HORIZON))]
        if not hanging:
            yield "it waited for ever, and for nothing"
        if self.scenario.shutdown_timeout is not None and self._last_cause() < HORIZON:
            yield f"it waited for ever for {hanging} in spite of its limit"


def _names(text: str) -> set[str]:
    """Return the names of resources in *text*."""
    return set(re.findall(r"\b(?:r\d|last)\b", text))
