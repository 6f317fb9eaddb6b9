"""The servers as the contract's suite starts them, and where they differ."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from testkit import servers
from testkit.processes import Process
from testkit.servers import Start


@dataclass(frozen=True)
class Setup:
    """One server with its adapter.

    Attributes:
        launch: starts it.
        processes: the number of processes that serve.
        limit: the option that gives requests in flight their time at a stop, and its seconds.
        startup_failed: its exit code after a failed startup.
        shutdown_failed: its exit code after a failed shutdown.
        thread_left: its exit code if a thread is left behind, or None if the suite does not ask.
        terminated: its exit code after SIGTERM.
        hurries: a second Ctrl+C gives up requests in flight.
        keeps_requests: SIGTERM and Ctrl+C together do not give them up.
        pauses: whether there is time between the two, for the test.
        may_fail_together: SIGTERM to all processes may end it with 1.
        interrupted: its exit code after a stop that interrupts the startup.
        serves: its line of the log in each process that serves, where that matters.
        delays: what it needs so that a drain delay fits, or None where SIGTERM does not delay.
        blames_views: its log has a traceback for each view that is given up.
    """

    launch: Start
    processes: int
    limit: tuple[str, str]
    startup_failed: int = 3
    shutdown_failed: int = 1
    thread_left: int | None = None
    terminated: int = 0
    hurries: bool = True
    keeps_requests: bool = True
    pauses: tuple[bool, ...] = (False,)
    may_fail_together: bool = False
    interrupted: int = 0
    blames_views: bool = False
    serves: str = ""
    delays: tuple[str, ...] | None = None

    def start(
        self, django_app: str, *options: str, asgi: str = "asgi", **environment: str
    ) -> AbstractContextManager[Process]:
        """Start the server with a Django app of the project."""
        return self.launch(django_app, *options, asgi=asgi, **environment)

    def wait_until_started(self, server: Process, event: str = "search open") -> None:
        """Return when every process is ready, and a client can connect."""
        server.wait_for(event, times=self.processes)
        server.wait_until_serving()

    def wait_until_all_serve(self, server: Process) -> None:
        """Return when every process serves. Some servers tell only their log."""
        self.wait_until_started(server)
        if self.serves:
            server.until(
                lambda: server.output().count(self.serves) >= self.processes, "all to serve"
            )

    def wait_until_stopping(self, server: Process) -> None:
        """Return when the server has begun to stop, although one request is in flight."""
        if self.processes > 1:  # the other processes have nothing to wait for
            server.wait_for("pool closed", times=self.processes - 1)
        else:
            server.wait_until_refusing()


UVICORN = ("--timeout-graceful-shutdown", "1")
HYPERCORN = ("--graceful-timeout", "1")
DAPHNE = ("--application-close-timeout", "1")
GUNICORN = ("--graceful-timeout", "3")
GRANIAN = ("--workers-kill-timeout", "5")

OURS = "django_asgi_lifespan_"
TWO = ("--workers", "2")
UVLOOP = "uvloop" if servers.HAS_UVLOOP else "asyncio"

SETUPS = {
    "uvicorn, stock": Setup(
        servers.uvicorn(),
        1,
        UVICORN,
        shutdown_failed=-15,
        terminated=-15,
        interrupted=3,
        delays=(),
    ),
    "uvicorn": Setup(servers.uvicorn(f"{OURS}uvicorn"), 1, UVICORN, thread_left=1, delays=()),
    "uvicorn, workers": Setup(servers.uvicorn(f"{OURS}uvicorn", *TWO), 2, UVICORN, delays=()),
    "hypercorn, stock": Setup(
        servers.hypercorn("hypercorn", *TWO),
        2,
        HYPERCORN,
        startup_failed=0,
        shutdown_failed=0,
        thread_left=0,
        hurries=False,
    ),
    "hypercorn": Setup(
        servers.hypercorn(f"{OURS}hypercorn", *TWO, "--worker-class", UVLOOP),
        2,
        HYPERCORN,
        thread_left=1,
        hurries=False,
        delays=(),
        serves="hypercorn.error INFO: Running on ",
    ),
    "daphne, stock": Setup(servers.daphne(), 1, DAPHNE, thread_left=1, delays=()),
    "daphne": Setup(servers.daphne(f"{OURS}daphne"), 1, DAPHNE, thread_left=1, delays=()),
    "gunicorn, uvicorn inside": Setup(
        servers.gunicorn("LifespanWorker", *TWO),
        2,
        GUNICORN,
        shutdown_failed=0,
        keeps_requests=False,
        pauses=(False, True),
        delays=("--graceful-timeout", "90"),
    ),
    "gunicorn": Setup(
        servers.gunicorn("NativeLifespanWorker", *TWO),
        2,
        GUNICORN,
        shutdown_failed=0,
        keeps_requests=False,
        pauses=(False, True),
        delays=("--graceful-timeout", "90"),
    ),
    "granian, stock": Setup(
        servers.granian("granian", *TWO, "--loop", UVLOOP),
        2,
        GRANIAN,
        startup_failed=1,
        shutdown_failed=0,
        pauses=(True,),
        may_fail_together=True,
        blames_views=True,
        delays=("--workers-kill-timeout", "90"),
    ),
    "granian": Setup(
        servers.granian(f"{OURS}granian", *TWO, "--loop", "asyncio"),
        2,
        GRANIAN,
        may_fail_together=True,
        blames_views=True,
        delays=("--workers-kill-timeout", "90"),
    ),
}
"""The stock command, in which an adapter acts by its hooks, and the command of the adapter."""

VARIANTS = {
    "uvicorn, stock, workers": Setup(servers.uvicorn("uvicorn", *TWO), 2, UVICORN),
    "uvicorn, asyncio": Setup(servers.uvicorn(f"{OURS}uvicorn", "--loop", "asyncio"), 1, UVICORN),
    "hypercorn, one process": Setup(
        servers.hypercorn(f"{OURS}hypercorn", "--workers", "0"), 1, HYPERCORN, hurries=False
    ),
    "granian, stock, asyncio, mt": Setup(
        servers.granian("granian", *TWO, "--loop", "asyncio", "--runtime-mode", "mt"),
        2,
        GRANIAN,
        pauses=(True,),
        may_fail_together=True,
        blames_views=True,
        delays=("--workers-kill-timeout", "90"),
    ),
}
"""Other ways through the code of a server at its stop."""
