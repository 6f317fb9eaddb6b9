"""The drives: each function takes one launch from its start to its end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

from .client import Answer, Request, fate
from .launch import START_DEADLINE, STOP_DEADLINE, Launch, LaunchError
from .observation import ClientView

TERM, INT, QUIT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP
SETTLED = 1.5
"""Seconds that a server has, after an OS signal, to show how it reacts."""

REACTED = 15.0
"""Seconds that a server has to replace a worker, or to end, on a busy machine."""

Signals = tuple[tuple[signal.Signals, str], ...]
"""OS signals and their receivers, in this order, 20 ms apart."""

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


def _settle(launch: Launch, processes: int = 1) -> None:
    """Return when so many workers have shown that they stop, or have had the time to show it.

    A supervisor may close the port before it tells its workers.
    """

    def is_told() -> bool:
        stopping = launch.journal.count("asgi_stopping sent")
        return launch.code is not None or stopping >= processes

    launch.waits(lambda: is_told() or not launch.address.accepts(), within=SETTLED)
    launch.waits(is_told, within=0.5)


def _linger(launch: Launch) -> None:
    """Give the server the time to end, or to cut off a held request, before it is released."""
    launch.waits(lambda: launch.code is not None, within=0.5)


def _ask(connection: Request, path: str) -> Answer:
    """Return the answer to another request on the same connection."""
    connection.send(path)
    return connection.answer()


def _fate(launch: Launch, path: str) -> str:
    """Return the fate of a new client."""
    request = launch.send(path)
    try:
        return fate(request.answer(within=1.0))
    finally:
        request.close()


def _ask_probes(launch: Launch) -> dict[str, str]:
    """Return the fate of a new client of each probe."""
    requests = {name: launch.send(f"/{name}") for name in ("livez", "readyz", "startupz")}
    deadline = time.monotonic() + 1.0
    fates = {
        name: fate(request.answer(within=max(0.05, deadline - time.monotonic())))
        for name, request in requests.items()
    }
    for request in requests.values():
        request.close()
    return fates


def _replaced(launch: Launch, processes: int) -> bool:
    return len(launch.journal.workers) > processes


# The drives


def start_and_stop(launch: Launch, processes: int, view: ClientView) -> None:
    """Ask before the startup is complete, look around in every way, stop with a connection idle."""
    with contextlib.suppress(LaunchError):
        _reach(launch, "dependent opening", processes)
    early = launch.send("/")
    threading.Event().wait(0.3)  # in which the early request could be answered, and must not be
    launch.release("startup")
    launch.waits(lambda: launch.journal.count("asgi_startup sent") >= processes, within=3.0)
    launch.until(launch.address.accepts, "an open port", within=START_DEADLINE)
    early.answer()
    connection = launch.send("/", keep_alive=True)
    view.first = connection.answer()
    view.changed = _ask(connection, "/change/")
    view.second = _ask(connection, "/")
    view.sync = _ask(connection, "/sync/")
    launch.signal(TERM)
    launch.wait()


def stop_websocket(launch: Launch, processes: int, view: ClientView) -> None:
    """Stop the server while a WebSocket is open."""
    with contextlib.suppress(LaunchError):
        _reach(launch, "asgi_startup sent", processes)
    launch.until(launch.address.accepts, "an open port", within=START_DEADLINE)
    websocket = launch.open_websocket()
    view.websocket_state = websocket.state
    launch.signal(TERM)
    view.close_code = websocket.close_code(within=STOP_DEADLINE)
    launch.wait()


def ask_probes(launch: Launch, processes: int, view: ClientView) -> None:
    """Ask the probes during the startup, after it, and while a request delays the stop."""
    with contextlib.suppress(LaunchError):
        _reach(launch, "dependent opening", processes)
    view.glimpses["startup"] = _ask_probes(launch)
    launch.release("startup")
    _serve(launch, processes)
    view.glimpses["serving"] = _ask_probes(launch)
    request = launch.send("/held/")
    launch.wait_for("held request begun")
    launch.signal(TERM)
    _settle(launch, processes)
    _linger(launch)  # a server stops to listen soon after it was told, or not at all
    view.glimpses["stop"] = _ask_probes(launch)
    launch.release("request")
    request.answer()
    launch.wait()


def delay_stop(launch: Launch, processes: int, view: ClientView) -> None:
    """Ask for readiness, and then for a page, in the seconds by which the stop is delayed."""
    _serve(launch, processes)
    launch.signal(TERM)
    launch.waits(lambda: _fate(launch, "/readyz") != "200", within=SETTLED)
    view.glimpses["delay"] = {path: _fate(launch, path) for path in ("/readyz", "/")}
    launch.wait()


def keep_connections(launch: Launch, processes: int, view: ClientView) -> None:
    """Let three requests at a time query the database, and stop the server after them."""
    _serve(launch, processes)
    requests = [launch.send("/query/") for _ in range(3)]
    launch.wait_for("request blocked", times=3)
    launch.release("request")
    view.statuses = [request.answer().status for request in requests]
    launch.signal(TERM)
    launch.wait()


def stop_idle(signals: Signals, launch: Launch, processes: int, view: ClientView) -> None:
    """Stop the server while nothing is in flight."""
    _serve(launch, processes)
    _send(launch, signals)
    launch.wait()


def stop_importing(signals: Signals, launch: Launch, processes: int, view: ClientView) -> None:
    """Stop the server while the workers import the application."""
    launch.wait_for("application begun", times=processes)
    _send(launch, signals)
    _linger(launch)
    launch.release("import")
    launch.wait()


def stop_starting(signals: Signals, launch: Launch, processes: int, view: ClientView) -> None:
    """Stop the server while the workers start up."""
    _reach(launch, "dependent opening", processes)
    _send(launch, signals)
    _linger(launch)
    launch.release("startup")
    launch.wait()


def stop_busy(signals: Signals, launch: Launch, processes: int, view: ClientView) -> None:
    """Stop the server while a request is in flight, which ends soon after."""
    _serve(launch, processes)
    request = launch.send("/held/")
    launch.wait_for("held request begun")
    _send(launch, signals)
    _settle(launch)
    if processes > 1:  # the idle ones end first, and the server may then end this one, too
        _linger(launch)
    launch.release("request")
    view.held = request.answer(within=STOP_DEADLINE)
    launch.wait()


def stop_twice_busy(launch: Launch, processes: int, view: ClientView) -> None:
    """Press Ctrl+C twice, the second time because a request does not end."""
    _serve(launch, processes)
    launch.send("/held/")
    launch.wait_for("held request begun")
    launch.signal(INT, "group")
    _settle(launch)
    _linger(launch)  # a user sees first that the request hangs
    launch.signal(INT, "group")
    launch.wait()


def stop_stuck(launch: Launch, processes: int, view: ClientView) -> None:
    """Stop while a request is in flight that never ends by itself."""
    _serve(launch, processes)
    launch.send("/held/")
    launch.wait_for("held request begun")
    launch.signal(TERM)
    launch.wait()


def stop_streaming(launch: Launch, processes: int, view: ClientView) -> None:
    """Stop the server while a streaming response is in flight, which ends soon after."""
    _serve(launch, processes)
    request = launch.send("/stream/")
    launch.until(lambda: request.first_line() == b"first\n", "a first line", within=START_DEADLINE)
    launch.wait_for("stream begun")
    launch.signal(TERM)
    _settle(launch)
    if processes > 1:  # the idle ones end first, and the server may then end this one, too
        _linger(launch)
    launch.release("request")
    view.held = request.answer(within=STOP_DEADLINE)
    launch.wait()


def stop_closing(signals: Signals, launch: Launch, processes: int, view: ClientView) -> None:
    """Send more OS signals while the resources are closing."""
    _serve(launch, processes)
    _send(launch, signals[:1])
    launch.waits(lambda: launch.journal.find("dependent closing"), within=SETTLED)
    _send(launch, signals[1:])
    _linger(launch)
    launch.release("shutdown")
    launch.wait()


def fail_to_start(launch: Launch, processes: int, view: ClientView) -> None:
    """Watch for a while a server whose application fails to start."""
    statuses: set[int | None] = set()

    def is_over() -> bool:
        request = launch.send("/")
        answer = request.answer(within=0.5)
        if answer.status is not None:
            statuses.add(answer.status)
        request.close()
        threading.Event().wait(0.1)  # leave the machine to the server
        return False

    with contextlib.suppress(LaunchError):
        _reach(launch, "dependent opening", 1)
    launch.waits(is_over, within=REACTED)
    view.statuses = list(statuses)
    view.ended = launch.code is not None


def recycle(launch: Launch, processes: int, view: ClientView, *, age: float = 0.0) -> None:
    """Send more requests than a worker serves, or let it get to its *age*: it is replaced."""
    _serve(launch, processes)
    view.statuses = [launch.get("/").status for _ in range(12)]
    launch.waits(lambda: _replaced(launch, processes), within=age + REACTED)
    launch.waits(lambda: launch.get("/").status == 200, within=START_DEADLINE)
    _wait_for_closed_ones(launch, 1)
    view.replaced = _replaced(launch, processes)
    launch.signal(TERM)
    launch.wait()


def use_up(launch: Launch, processes: int, view: ClientView) -> None:
    """Send as many requests as a server serves before it ends."""
    _serve(launch, processes)
    view.statuses = [launch.get("/").status for _ in range(12)]
    launch.wait()


def _wait_for_closed_ones(launch: Launch, times: int) -> None:
    """Give so many workers that are replaced the time to close."""
    launch.waits(lambda: launch.journal.count("base closed") >= times, within=REACTED)


def replace(signals: Signals, launch: Launch, processes: int, view: ClientView) -> None:
    """Send an OS signal upon which workers are replaced, or the server stops."""
    _serve(launch, processes)
    _send(launch, signals)
    launch.waits(lambda: _replaced(launch, processes), within=REACTED)
    view.ended = launch.code is not None
    view.replaced = _replaced(launch, processes)
    if view.replaced:
        replaced = 1 if signals[0][1] == "worker" else processes
        if signals[0][0] != signal.SIGKILL:
            _wait_for_closed_ones(launch, replaced)
        launch.waits(
            lambda: launch.journal.count("asgi_startup sent") >= processes + replaced,
            within=REACTED,
        )
        launch.waits(lambda: launch.get("/").status == 200, within=START_DEADLINE)
    if launch.code is None:
        launch.signal(TERM)
    launch.wait()


def reload(launch: Launch, processes: int, view: ClientView) -> None:
    """Change a module of the application."""
    _serve(launch, processes)
    for times in range(1, 6):  # a reloader misses changes until it has looked at the files once
        (launch.project / "reloaded.py").write_text(f"CHANGED = {times}\n")
        if launch.waits(lambda: launch.journal.count("base opening") > processes, within=3.0):
            break
    launch.waits(lambda: launch.journal.count("asgi_startup sent") > processes, within=REACTED)
    view.replaced = launch.journal.count("asgi_startup sent") > processes
    launch.waits(lambda: launch.get("/").status == 200, within=START_DEADLINE)
    launch.signal(INT, "group")
    launch.wait()


def scale(launch: Launch, processes: int, view: ClientView) -> None:
    """Add a worker and take one away, as gunicorn does for SIGTTIN and SIGTTOU."""
    _serve(launch, processes)
    launch.signal(signal.SIGTTIN)
    launch.wait_for("asgi_startup sent", times=processes + 1)
    launch.signal(signal.SIGTTOU)
    launch.waits(lambda: launch.journal.find("base closed"), within=STOP_DEADLINE)
    launch.signal(TERM)
    launch.wait()


def kill_supervisor(launch: Launch, processes: int, view: ClientView) -> None:
    """Kill the main process and see whether the workers end."""
    _serve(launch, processes)
    launch.signal(signal.SIGKILL)
    launch.wait()


def port_in_use(launch: Launch, processes: int, view: ClientView) -> None:
    """Wait for the end of a server that cannot have its port."""
    launch.waits(lambda: launch.code is not None, within=STOP_DEADLINE)
    view.ended = launch.code is not None


def start_slowly(launch: Launch, processes: int, view: ClientView) -> None:
    """Take longer to start than the server's time limit for its workers."""
    _reach(launch, "dependent opening", processes)
    threading.Event().wait(4.0)  # twice the limit, which has to pass
    launch.release("startup")
    _serve(launch, processes)
    view.startups = launch.journal.count("dependent opening")
    launch.signal(TERM)
    launch.wait()
