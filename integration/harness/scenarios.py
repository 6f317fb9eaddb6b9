"""What a server is put through: each scenario is one launch that answers many probes."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .client import Answer
from .journal import Journal
from .launch import START_DEADLINE, STOP_DEADLINE, Launch, LaunchError

TERM, INT, QUIT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP
SETTLED = 1.5
"""Seconds that a server has, after an OS signal, to show what it makes of it."""

REACTED = 15.0
"""Seconds that a server has to replace a worker, or to end, on a busy machine."""

LIFETIME = 60.0
"""Seconds that a worker lives at most where a target limits that: the least that granian takes."""

Signals = tuple[tuple[signal.Signals, str], ...]
"""What is sent to whom, in this order, 20 ms apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a launch is started, and what is done with it.

    Attributes:
        drive: does it; what it notes in the dictionary is the client's view.
        needs: capabilities of the target without which the scenario cannot be played.
        environment: tells the application how to behave.
        routed: the application is the one with a WebSocket consumer.
        graceful: seconds that the server gives to requests in flight when it stops.
        race: what happens depends on who is faster: three runs, while nothing else runs.
        slow: it takes more than ten seconds on some server.
        occupied: the port is in use by somebody else.
    """

    drive: Callable[[Launch, int, dict[str, Any]], None]
    needs: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    routed: bool = False
    graceful: int = 3
    race: bool = False
    slow: bool = False
    occupied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one launch.

    Attributes:
        processes: how many workers the target has.
        seen: the client's view.
        code: the exit code; None if the server had to be killed.
        problem: why the scenario could not be played to its end.
    """

    processes: int
    journal: Journal
    seen: Mapping[str, Any]
    code: int | None
    hung: bool
    orphans: int
    output: str
    problem: str
    report: str
    seconds: float


def play(scenario: Scenario, launch: Launch, processes: int) -> Observation:
    """Play a scenario to its end, and return what was seen."""
    seen: dict[str, Any] = {}
    problem = ""
    start = time.monotonic()
    try:
        scenario.drive(launch, processes, seen)
    except (LaunchError, OSError, TimeoutError) as error:
        problem = str(error) or repr(error)
    finally:
        if launch.code is None:
            launch.signal(TERM)
        launch.wait()
    return Observation(
        processes=processes,
        journal=launch.journal,
        seen=seen,
        code=None if launch.hung else launch.code,
        hung=launch.hung,
        orphans=launch.orphans,
        output=launch.output,
        problem=problem,
        seconds=time.monotonic() - start,
        report=launch.report() + (f"\nnot played to its end: {problem}" if problem else ""),
    )


# The steps of which scenarios are made


def _reach(launch: Launch, event: str, times: int) -> None:
    """Return when *event* has happened in so many workers.

    Raises:
        LaunchError: the server serves, and no lifespan has started.
    """
    launch.until(
        lambda: launch.journal.workers or launch.journal.find("application ended"),
        "a worker that has imported the application",
        within=START_DEADLINE,
    )
    if not launch.waits(lambda: launch.journal.workers, within=3.0):
        raise LaunchError("the application is imported, and no lifespan has started")
    launch.wait_for(event, times=times)


def _serve(launch: Launch, processes: int) -> None:
    """Return when every worker has started up and the server answers."""
    _reach(launch, "asgi_startup sent", processes)
    launch.until(lambda: launch.get("/").status == 200, "an answer", within=START_DEADLINE)


def _send(launch: Launch, signals: Signals) -> None:
    for index, (number, whom) in enumerate(signals):
        if index:
            threading.Event().wait(0.02)
        launch.signal(number, whom)


def _settle(launch: Launch) -> None:
    """Return when the server has shown that it stops, or has had the time to show it."""
    launch.waits(
        lambda: (
            launch.code is not None
            or launch.journal.find("asgi_stopping sent")
            or not launch.address.accepts()
        ),
        within=SETTLED,
    )


def _linger(launch: Launch) -> None:
    """Give the server the time to end, or to cut off what is held, before it is released."""
    launch.waits(lambda: launch.code is not None, within=0.5)


# Scenarios


def _start_and_stop(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Ask before the startup is complete, look around in every way, stop with a connection idle."""
    with contextlib.suppress(LaunchError):
        _reach(launch, "dependent opening", processes)
    early = launch.send("/")
    threading.Event().wait(0.3)  # in which the early request could be answered, and must not be
    launch.release("startup")
    launch.waits(lambda: launch.journal.count("asgi_startup sent") >= processes, within=3.0)
    launch.until(launch.address.accepts, "an open port", within=START_DEADLINE)
    seen["early"] = early.answer()
    connection = launch.send("/", keep_alive=True)
    seen["first"] = connection.answer()
    for name, path in (("changed", "/change/"), ("second", "/"), ("sync", "/sync/")):
        connection.send(path)
        seen[name] = connection.answer()
    launch.signal(TERM)
    launch.wait()


def _websocket(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Stop the server while a WebSocket is open."""
    with contextlib.suppress(LaunchError):
        _reach(launch, "asgi_startup sent", processes)
    launch.until(launch.address.accepts, "an open port", within=START_DEADLINE)
    websocket = launch.open_websocket()
    seen["state"] = websocket.state
    launch.signal(TERM)
    seen["code"] = websocket.close_code(within=STOP_DEADLINE)
    launch.wait()


def _stop_idle(signals: Signals, launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    _serve(launch, processes)
    _send(launch, signals)
    launch.wait()


def _stop_importing(signals: Signals, launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    launch.wait_for("application begun", times=processes)
    _send(launch, signals)
    _linger(launch)
    launch.release("import")
    launch.wait()


def _stop_starting(signals: Signals, launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    _reach(launch, "dependent opening", processes)
    _send(launch, signals)
    _linger(launch)
    launch.release("startup")
    launch.wait()


def _stop_busy(signals: Signals, launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    _serve(launch, processes)
    request = launch.send("/held/")
    launch.wait_for("held request begun")
    _send(launch, signals)
    _settle(launch)
    if processes > 1:  # the idle ones end first, and the server may then end this one, too
        _linger(launch)
    launch.release("request")
    seen["held"] = request.answer(within=STOP_DEADLINE)
    launch.wait()


def _stop_twice_busy(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Press Ctrl+C twice, the second time because a request does not end."""
    _serve(launch, processes)
    launch.send("/held/")
    launch.wait_for("held request begun")
    launch.signal(INT, "group")
    _settle(launch)
    launch.signal(INT, "group")
    launch.wait()


def _stop_stuck(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Stop while a request is in flight that never ends by itself."""
    _serve(launch, processes)
    launch.send("/held/")
    launch.wait_for("held request begun")
    launch.signal(TERM)
    launch.wait()


def _stop_streaming(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    _serve(launch, processes)
    request = launch.send("/stream/")
    launch.until(lambda: request.first_line() == b"first\n", "a first line", within=START_DEADLINE)
    launch.wait_for("stream begun")
    launch.signal(TERM)
    _settle(launch)
    if processes > 1:  # the idle ones end first, and the server may then end this one, too
        _linger(launch)
    launch.release("request")
    seen["held"] = request.answer(within=STOP_DEADLINE)
    launch.wait()


def _stop_closing(signals: Signals, launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Send more OS signals while the resources are closing."""
    _serve(launch, processes)
    _send(launch, signals[:1])
    launch.waits(lambda: launch.journal.find("dependent closing"), within=SETTLED)
    _send(launch, signals[1:])
    _linger(launch)
    launch.release("shutdown")
    launch.wait()


def _fail_to_start(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Watch for a while what a server does whose application fails to start."""
    statuses: set[int] = set()

    def is_over() -> bool:
        request = launch.send("/")
        answer: Answer = request.answer(within=0.5)
        if answer.status is not None:
            statuses.add(answer.status)
        request.close()
        threading.Event().wait(0.1)  # leave the machine to the server
        return False

    with contextlib.suppress(LaunchError):
        _reach(launch, "dependent opening", 1)
    launch.waits(is_over, within=REACTED)
    seen["statuses"] = sorted(statuses)
    seen["ended"] = launch.code is not None


def _recycle(launch: Launch, processes: int, seen: dict[str, Any], *, age: float = 0.0) -> None:
    """Send more requests than a worker serves, or let it get to its *age*: it is replaced."""
    _serve(launch, processes)
    seen["statuses"] = [launch.get("/").status for _ in range(12)]
    launch.waits(lambda: len(launch.journal.workers) > processes, within=age + REACTED)
    launch.waits(lambda: launch.get("/").status == 200, within=START_DEADLINE)
    _wait_for_closed_ones(launch)
    seen["replaced"] = len(launch.journal.workers) > processes
    launch.signal(TERM)
    launch.wait()


def _use_up(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Send as many requests as a server serves before it ends."""
    _serve(launch, processes)
    seen["statuses"] = [launch.get("/").status for _ in range(12)]
    launch.wait()


def _wait_for_closed_ones(launch: Launch) -> None:
    """Give the first worker that was replaced the time to close."""
    launch.waits(lambda: launch.journal.find("base closed"), within=REACTED)


def _replace(signals: Signals, launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Send an OS signal upon which workers are replaced, or the server stops."""
    _serve(launch, processes)
    _send(launch, signals)
    launch.waits(lambda: len(launch.journal.workers) > processes, within=REACTED)
    seen["ended"] = launch.code is not None
    seen["replaced"] = len(launch.journal.workers) > processes
    if seen["replaced"]:
        _wait_for_closed_ones(launch)
        launch.waits(lambda: launch.get("/").status == 200, within=START_DEADLINE)
        seen["after"] = launch.get("/")
    if launch.code is None:
        launch.signal(TERM)
    launch.wait()


def _reload(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Change a module of the application."""
    _serve(launch, processes)
    for times in range(1, 6):  # a reloader misses what changes before it has looked for once
        (launch.project / "reloaded.py").write_text(f"CHANGED = {times}\n")
        if launch.waits(lambda: launch.journal.count("base opening") > processes, within=3.0):
            break
    launch.waits(lambda: launch.journal.count("asgi_startup sent") > processes, within=REACTED)
    seen["replaced"] = launch.journal.count("asgi_startup sent") > processes
    launch.waits(lambda: launch.get("/").status == 200, within=START_DEADLINE)
    launch.signal(INT, "group")
    launch.wait()


def _scale(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Add a worker and take one away, as gunicorn does for SIGTTIN and SIGTTOU."""
    _serve(launch, processes)
    launch.signal(signal.SIGTTIN)
    launch.wait_for("asgi_startup sent", times=processes + 1)
    launch.signal(signal.SIGTTOU)
    launch.waits(lambda: launch.journal.find("base closed"), within=STOP_DEADLINE)
    seen["closed first"] = launch.journal.count("base closed")
    launch.signal(TERM)
    launch.wait()


def _kill_supervisor(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    _serve(launch, processes)
    launch.signal(signal.SIGKILL)
    launch.wait()


def _port_in_use(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    launch.waits(lambda: launch.code is not None, within=STOP_DEADLINE)
    seen["ended"] = launch.code is not None


def _start_slowly(launch: Launch, processes: int, seen: dict[str, Any]) -> None:
    """Take longer to start than the server's time limit for its workers."""
    _reach(launch, "dependent opening", processes)
    threading.Event().wait(4.0)  # twice the limit, which has to pass
    launch.release("startup")
    _serve(launch, processes)
    seen["startups"] = launch.journal.count("dependent opening")
    launch.signal(TERM)
    launch.wait()


def _stop(
    drive: Callable[[Signals, Launch, int, dict[str, Any]], None],
    *signals: tuple[signal.Signals, str],
    **options: Any,
) -> Scenario:
    return Scenario(drive=functools.partial(drive, signals), **options)


def _behave(**environment: str) -> dict[str, Any]:
    return {"environment": MappingProxyType(environment)}


_LIMITED = {"ASGI_LIFESPAN": '{"STARTUP_TIMEOUT": 1, "SHUTDOWN_TIMEOUT": 1}'}
_SUPERVISED = frozenset({"supervisor"})

SCENARIOS: dict[str, Scenario] = {
    "serve": Scenario(drive=_start_and_stop, **_behave(STARTUP="held")),
    "websocket": Scenario(drive=_websocket, routed=True, needs=frozenset({"websocket"})),
    "dev-mode": _stop(_stop_idle, (TERM, "main"), **_behave(PYTHONDEVMODE="1")),
    # A startup that fails
    "startup-fails": Scenario(drive=_fail_to_start, **_behave(STARTUP="fails")),
    "startup-receiver-fails": Scenario(drive=_fail_to_start, **_behave(STARTUP="receiver")),
    "startup-exits": Scenario(drive=_fail_to_start, **_behave(STARTUP="exits")),
    "startup-late": Scenario(drive=_fail_to_start, **_behave(STARTUP="late", **_LIMITED)),
    "startup-stubborn": Scenario(drive=_fail_to_start, **_behave(STARTUP="hangs", **_LIMITED)),
    "startup-endless": _stop(_stop_starting, (TERM, "main"), **_behave(STARTUP="late")),
    "startup-slow": Scenario(
        drive=_start_slowly, needs=frozenset({"timeout"}), slow=True, **_behave(STARTUP="held")
    ),
    "startup-blocking": Scenario(
        drive=_start_slowly, needs=frozenset({"timeout"}), slow=True, **_behave(STARTUP="blocking")
    ),
    # A shutdown that fails or takes its time
    "shutdown-fails": _stop(_stop_idle, (TERM, "main"), **_behave(SHUTDOWN="fails")),
    "shutdown-receiver-fails": _stop(_stop_idle, (TERM, "main"), **_behave(SHUTDOWN="receiver")),
    "shutdown-exits": _stop(_stop_idle, (TERM, "main"), **_behave(SHUTDOWN="exits")),
    "shutdown-slow": _stop(_stop_idle, (TERM, "main"), **_behave(SHUTDOWN="slow")),
    "shutdown-late": _stop(_stop_idle, (TERM, "main"), **_behave(SHUTDOWN="late", **_LIMITED)),
    # OS signals while nothing happens
    "term-group": _stop(_stop_idle, (TERM, "group")),
    "int": _stop(_stop_idle, (INT, "main")),
    "ctrl-c": _stop(_stop_idle, (INT, "group")),
    "quit": _stop(_stop_idle, (QUIT, "main")),
    "term-then-int": _stop(_stop_idle, (TERM, "group"), (INT, "group"), race=True),
    # OS signals while something does
    "term-importing": _stop(_stop_importing, (TERM, "main"), **_behave(HOLDS_IMPORT="1")),
    "ctrl-c-importing": _stop(_stop_importing, (INT, "group"), **_behave(HOLDS_IMPORT="1")),
    "term-starting": _stop(_stop_starting, (TERM, "main"), **_behave(STARTUP="held")),
    "ctrl-c-starting": _stop(_stop_starting, (INT, "group"), **_behave(STARTUP="held")),
    "term-request": _stop(_stop_busy, (TERM, "main")),
    "term-group-request": _stop(_stop_busy, (TERM, "group")),
    "ctrl-c-request": _stop(_stop_busy, (INT, "group")),
    "term-stream": Scenario(drive=_stop_streaming),
    "term-stuck-request": Scenario(drive=_stop_stuck, graceful=1),
    "ctrl-c-twice-request": Scenario(drive=_stop_twice_busy),
    "term-twice-closing": _stop(
        _stop_closing, (TERM, "main"), (TERM, "main"), **_behave(SHUTDOWN="held")
    ),
    "ctrl-c-twice-closing": _stop(
        _stop_closing, (INT, "group"), (INT, "group"), **_behave(SHUTDOWN="held")
    ),
    # Workers that come and go
    "recycle": Scenario(drive=_recycle, needs=frozenset({"max_requests", "supervisor"})),
    "use-up": Scenario(drive=_use_up, needs=frozenset({"max_requests", "unsupervised"})),
    "recycle-slow": Scenario(
        drive=_recycle,
        needs=frozenset({"max_requests", "supervisor", "timeout"}),
        slow=True,
        graceful=6,
        **_behave(SHUTDOWN="slow", SLOW="4"),
    ),
    "recycle-lifetime": Scenario(
        drive=functools.partial(_recycle, age=LIFETIME),
        needs=frozenset({"lifetime", "supervisor"}),
        slow=True,
    ),
    "hup": _stop(_replace, (HUP, "main")),
    "term-worker": _stop(_replace, (TERM, "worker"), needs=_SUPERVISED),
    "kill-worker": _stop(_replace, (signal.SIGKILL, "worker"), needs=_SUPERVISED),
    "kill-supervisor": Scenario(drive=_kill_supervisor, needs=_SUPERVISED),
    "scale": Scenario(drive=_scale, needs=frozenset({"scales"})),
    "reload": Scenario(drive=_reload, needs=frozenset({"reload"})),
    "refusal": Scenario(drive=_fail_to_start, needs=frozenset({"trio"})),
    "port-in-use": Scenario(drive=_port_in_use, needs=frozenset({"port"}), occupied=True),
}

_BRIEF = frozenset({"serve", "websocket"})
_VARIANT = _BRIEF | {
    "startup-fails",
    "ctrl-c",
    "term-group",
    "term-importing",
    "term-request",
    "reload",
}
_RELOAD = _VARIANT - {"startup-fails"}  # a development server waits for the next change
_WORKERS = frozenset(SCENARIOS) - {
    "websocket",
    "dev-mode",
    "startup-receiver-fails",
    "startup-slow",
    "startup-blocking",
    "shutdown-receiver-fails",
    "shutdown-exits",
    "term-stream",
    "recycle-slow",
    "recycle-lifetime",
    "port-in-use",
}
PLAYS: dict[str, frozenset[str]] = {
    "all": frozenset(SCENARIOS),
    "brief": _BRIEF,
    "variant": _VARIANT,
    "workers": _WORKERS,
    "reload": _RELOAD,
    "refusal": frozenset({"refusal"}),
}
"""Which scenarios a target plays, of those that it is able to."""
