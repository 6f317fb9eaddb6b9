"""The scenarios: each launches a server in its way and drives it, for many probes at once."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from . import drives
from .drives import HUP, INT, QUIT, TERM, Signals
from .launch import Launch, LaunchError
from .observation import ClientView, Observation

LIFETIME = 60.0
"""Seconds that a worker lives at most where a target limits that: the least that granian takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A way to launch a server, and to drive it to its end.

    Attributes:
        drive: takes the launch to its end, and fills in the client's view.
        needs: capabilities of the target without which the scenario cannot be played.
        environment: tells the application how to behave.
        routed: the application is the one with a WebSocket consumer.
        graceful: seconds that the server gives to requests in flight when it stops.
        race: the outcome depends on who is faster: three runs, while nothing else runs.
        slow: it takes more than ten seconds on some server.
        occupied: the port is in use by somebody else.
    """

    drive: Callable[[Launch, int, ClientView], None]
    needs: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    routed: bool = False
    graceful: int = 3
    race: bool = False
    slow: bool = False
    occupied: bool = False

    def play(self, launch: Launch, processes: int) -> Observation:
        """Play it to its end, and return the observation."""
        view = ClientView()
        problem = ""
        try:
            self.drive(launch, processes, view)
        except (LaunchError, OSError, TimeoutError) as error:
            problem = str(error) or repr(error)
        finally:
            if launch.code is None:
                launch.signal(TERM)
            launch.wait()
        return Observation(
            processes=processes,
            journal=launch.journal,
            client=view,
            code=None if launch.hung else launch.code,
            hung=launch.hung,
            orphans=launch.orphans,
            output=launch.output,
            problem=problem,
            report=launch.report() + (f"\nnot played to its end: {problem}" if problem else ""),
        )


def _stop(
    drive: Callable[[Signals, Launch, int, ClientView], None],
    *signals: tuple[signal.Signals, str],
    **options: Any,
) -> Scenario:
    return Scenario(drive=functools.partial(drive, signals), **options)


def _behave(**environment: str) -> dict[str, Any]:
    return {"environment": MappingProxyType(environment)}


_LIMITED = {"ASGI_LIFESPAN": '{"STARTUP_TIMEOUT": 1, "SHUTDOWN_TIMEOUT": 1}'}
_PROBES = {"ASGI_LIFESPAN": '{"PROBES": "/"}'}
_DELAY = {"ASGI_LIFESPAN": '{"PROBES": "/", "DRAIN_DELAY": 2, "SHUTDOWN_TIMEOUT": 1}'}
_THREADS = {"ASGI_LIFESPAN": '{"REQUEST_THREADS": 4}'}
_SUPERVISED = frozenset({"supervisor"})

SCENARIOS: dict[str, Scenario] = {
    "serve": Scenario(drive=drives.start_and_stop, **_behave(STARTUP="held")),
    "websocket": Scenario(drive=drives.stop_websocket, routed=True, needs=frozenset({"websocket"})),
    "probes": Scenario(drive=drives.ask_probes, **_behave(STARTUP="held", **_PROBES)),
    "drain-delay": Scenario(drive=drives.delay_stop, graceful=6, **_behave(**_DELAY)),
    "connections": Scenario(drive=drives.keep_connections, **_behave(DATABASE="1", **_THREADS)),
    "dev-mode": _stop(drives.stop_idle, (TERM, "main"), **_behave(PYTHONDEVMODE="1")),
    # A startup that fails
    "startup-fails": Scenario(drive=drives.fail_to_start, **_behave(STARTUP="fails")),
    "startup-receiver-fails": Scenario(drive=drives.fail_to_start, **_behave(STARTUP="receiver")),
    "startup-exits": Scenario(drive=drives.fail_to_start, **_behave(STARTUP="exits")),
    "startup-late": Scenario(drive=drives.fail_to_start, **_behave(STARTUP="late", **_LIMITED)),
    "startup-stubborn": Scenario(
        drive=drives.fail_to_start, **_behave(STARTUP="hangs", **_LIMITED)
    ),
    "startup-endless": _stop(drives.stop_starting, (TERM, "main"), **_behave(STARTUP="late")),
    "startup-slow": Scenario(
        drive=drives.start_slowly,
        needs=frozenset({"timeout"}),
        slow=True,
        **_behave(STARTUP="held"),
    ),
    "startup-blocking": Scenario(
        drive=drives.start_slowly,
        needs=frozenset({"timeout"}),
        slow=True,
        **_behave(STARTUP="blocking"),
    ),
    # A shutdown that fails or takes its time
    "shutdown-fails": _stop(drives.stop_idle, (TERM, "main"), **_behave(SHUTDOWN="fails")),
    "shutdown-receiver-fails": _stop(
        drives.stop_idle, (TERM, "main"), **_behave(SHUTDOWN="receiver")
    ),
    "shutdown-exits": _stop(drives.stop_idle, (TERM, "main"), **_behave(SHUTDOWN="exits")),
    "shutdown-slow": _stop(drives.stop_idle, (TERM, "main"), **_behave(SHUTDOWN="slow")),
    "shutdown-late": _stop(
        drives.stop_idle, (TERM, "main"), **_behave(SHUTDOWN="late", **_LIMITED)
    ),
    # OS signals while nothing happens
    "term-group": _stop(drives.stop_idle, (TERM, "group")),
    "int": _stop(drives.stop_idle, (INT, "main")),
    "ctrl-c": _stop(drives.stop_idle, (INT, "group")),
    "quit": _stop(drives.stop_idle, (QUIT, "main")),
    "term-then-int": _stop(drives.stop_idle, (TERM, "group"), (INT, "group"), race=True),
    # OS signals while something does
    "term-importing": _stop(drives.stop_importing, (TERM, "main"), **_behave(HOLDS_IMPORT="1")),
    "ctrl-c-importing": _stop(drives.stop_importing, (INT, "group"), **_behave(HOLDS_IMPORT="1")),
    "term-starting": _stop(drives.stop_starting, (TERM, "main"), **_behave(STARTUP="held")),
    "ctrl-c-starting": _stop(drives.stop_starting, (INT, "group"), **_behave(STARTUP="held")),
    "term-request": _stop(drives.stop_busy, (TERM, "main")),
    "term-group-request": _stop(drives.stop_busy, (TERM, "group")),
    "ctrl-c-request": _stop(drives.stop_busy, (INT, "group")),
    "term-stream": Scenario(drive=drives.stop_streaming),
    "term-stuck-request": Scenario(drive=drives.stop_stuck, graceful=1),
    "ctrl-c-twice-request": Scenario(drive=drives.stop_twice_busy),
    "term-twice-closing": _stop(
        drives.stop_closing, (TERM, "main"), (TERM, "main"), **_behave(SHUTDOWN="held")
    ),
    "ctrl-c-twice-closing": _stop(
        drives.stop_closing, (INT, "group"), (INT, "group"), **_behave(SHUTDOWN="held")
    ),
    # Workers that come and go
    "recycle": Scenario(drive=drives.recycle, needs=frozenset({"max_requests", "supervisor"})),
    "use-up": Scenario(drive=drives.use_up, needs=frozenset({"max_requests", "unsupervised"})),
    "recycle-slow": Scenario(
        drive=drives.recycle,
        needs=frozenset({"max_requests", "supervisor", "timeout"}),
        slow=True,
        graceful=6,
        **_behave(SHUTDOWN="slow", SLOW="4"),
    ),
    "recycle-lifetime": Scenario(
        drive=functools.partial(drives.recycle, age=LIFETIME),
        needs=frozenset({"lifetime", "supervisor"}),
        slow=True,
    ),
    "hup": _stop(drives.replace, (HUP, "main")),
    "term-worker": _stop(drives.replace, (TERM, "worker"), needs=_SUPERVISED),
    "kill-worker": _stop(drives.replace, (signal.SIGKILL, "worker"), needs=_SUPERVISED),
    "kill-supervisor": Scenario(drive=drives.kill_supervisor, needs=_SUPERVISED),
    "scale": Scenario(drive=drives.scale, needs=frozenset({"scales"})),
    "reload": Scenario(drive=drives.reload, needs=frozenset({"reload"})),
    "refusal": Scenario(drive=drives.fail_to_start, needs=frozenset({"trio"})),
    "port-in-use": Scenario(drive=drives.port_in_use, needs=frozenset({"port"}), occupied=True),
}

_BRIEF = frozenset({"serve", "websocket"})
_VARIANT = _BRIEF | {
    "connections",
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
SUITES: dict[str, frozenset[str]] = {
    "all": frozenset(SCENARIOS),
    "brief": _BRIEF,
    "variant": _VARIANT,
    "workers": _WORKERS,
    "reload": _RELOAD,
    "refusal": frozenset({"refusal"}),
    "surroundings": frozenset(
        {
            "serve",
            "startup-fails",
            "ctrl-c",
            "term-group",
            "term-importing",
            "term-starting",
            "term-request",
            "term-stuck-request",
        }
    ),
}
"""Sets of scenarios. A target plays those of its suite whose needs it has."""
