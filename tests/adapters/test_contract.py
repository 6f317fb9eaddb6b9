"""The rows of the contract that every server keeps with its adapter.

A test that concerns one server alone stands in the package of its adapter.
"""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping

import pytest

from testkit.client import CUT_OFF, HANDSHAKE
from testkit.processes import Process
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK, held

from .setups import SETUPS, VARIANTS, Setup

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="it has other OS signals"),
]


def choose(condition: Callable[[Setup], object]) -> pytest.MarkDecorator:
    """Return the decorator that runs a test with the setups that fulfil a condition."""
    chosen = [pytest.param(each, id=name) for name, each in SETUPS.items() if condition(each)]
    return pytest.mark.parametrize("setup", chosen)


every = choose(lambda setup: True)
HURRIED = {name: setup for name, setup in SETUPS.items() if setup.hurries}
delaying = choose(lambda setup: setup.delays is not None)
supervised = choose(lambda setup: setup.processes > 1)
alone = choose(lambda setup: setup.processes == 1)


def in_turns(argument: str, *values: str, setups: Mapping[str, Setup]) -> pytest.MarkDecorator:
    """Return the decorator that runs a test with setups and values of another argument.

    The setups take turns, one with the first half of the values and the next with the second half,
    because starting a server takes time. The matrix has all of them.
    """
    half = len(values) // 2
    chosen = [
        pytest.param(setup, value, id=f"{name}, {value}")
        for index, (name, setup) in enumerate(setups.items())
        for value in (values[half:] if index % 2 else values[:half])
    ]
    return pytest.mark.parametrize(("setup", argument), chosen)


def send(server: Process, stop: str) -> None:
    """Send an OS signal to the main process, or to its whole group."""
    name, _, group = stop.partition(" to ")
    (server.stop_group if group else server.stop)(name)


def exit_codes(setup: Setup, stop: str) -> set[int]:
    """Return the exit codes that are allowed after an OS signal."""
    codes = {setup.terminated if stop.startswith("SIGTERM") else 0}
    return codes | {1} if setup.may_fail_together and stop == "SIGTERM to all" else codes


def closes(story: list[str]) -> bool:
    """Return whether a process closed all that it opened, the last one first."""
    opened = [event.split()[0] for event in story if event.endswith(" open")]
    return opened[::-1] == [event.split()[0] for event in story if event.endswith(" closed")]


def wait_until_leaving(setup: Setup, server: Process) -> None:
    """Return when no process is ready any more, as far as a client can see."""
    asked = 5 * setup.processes

    def is_leaving() -> bool:
        return {server.get("/readyz").status for _ in range(asked)} == {503}

    server.until(is_leaving, "every worker to be not ready")


# Start


@every
def test_nobody_is_served_before_the_startup_is_complete(setup: Setup) -> None:
    """A client that comes earlier is refused or waits; then views and the state have everything."""
    with setup.start("chain", CACHE_OPENING="held") as server:
        server.wait_for("cache held", times=setup.processes)
        early = server.send("/async/") if server.accepts() else None
        server.release("cache", times=setup.processes)
        if early is not None:
            assert early.answer() == FOUND
        setup.wait_until_started(server)
        assert server.get("/async/") == FOUND
        assert server.get("/sync/") == FOUND
        for story in server.stories():
            assert story[: len(STARTED) + 1] == held(STARTED, at="cache opening")


@every
def test_a_worker_is_not_ready_before_the_startup_is_complete(setup: Setup) -> None:
    """A probe that comes earlier is refused or waits."""
    with setup.start("chain", PROBES="/", CACHE_OPENING="held") as server:
        server.wait_for("cache held", times=setup.processes)
        early = server.send("/readyz") if server.accepts() else None
        server.release("cache", times=setup.processes)
        if early is not None:
            assert early.answer().content == b"readyz: ok\n"
        setup.wait_until_started(server)
        assert server.get("/readyz").content == b"readyz: ok\n"


# Boot failure


@in_turns("word", "fail", "exit", setups=SETUPS)
def test_a_failed_startup_ends_the_server(setup: Setup, word: str) -> None:
    """By an exception or SystemExit: no process tries again, and each says its reason once."""
    with setup.start("chain", CACHE_OPENING=word) as server:
        assert server.wait() == setup.startup_failed
        assert 1 <= len(server.pids()) <= setup.processes
        stories = server.stories()
        assert [*STARTED[:3], *STOPPED[4:]] in stories
        assert all(closes(story) and "cache open" not in story for story in stories)
        error = "RuntimeError: cache failed in opening" if word == "fail" else "SystemExit: 7"
        assert f"cache failed to start: {error}" in server.output()
        # The server may stop a process before that one has failed, too.
        assert 1 <= server.output().count(TRACEBACK) <= len(stories)


# Stop


@in_turns("stop", "SIGTERM", "SIGINT to all", "SIGTERM to all", "SIGINT", setups=SETUPS | VARIANTS)
def test_requests_in_flight_are_answered_before_anything_closes(setup: Setup, stop: str) -> None:
    """A stream is told of the stop first, and a process that ends sooner cuts no other off."""
    with setup.start("chain") as server:
        setup.wait_until_started(server)
        request = server.hold_a_request()
        stream = server.send("/stream/")
        server.wait_for("stream open")
        send(server, stop)
        assert stream.answer().content == b"first\nlast\n"
        setup.wait_until_stopping(server)
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() in exit_codes(setup, stop)
        assert server.lifespans() == [[*STARTED, *STOPPED]] * setup.processes
        [story] = [story for story in server.stories() if "request held" in story]
        assert story[-len(STOPPED) - 1 :] == ["request answered", *STOPPED]
        assert TRACEBACK not in server.output()


TOGETHER = [
    pytest.param(setup, pause, id=f"{name}, {'later' if pause else 'at once'}")
    for name, setup in SETUPS.items()
    for pause in setup.pauses
]


@pytest.mark.parametrize(("setup", "pause"), TOGETHER)
def test_sigterm_and_ctrl_c_together_are_one_stop(setup: Setup, pause: bool) -> None:
    """As a program sends the one that the terminal sends the other."""
    with setup.start("chain") as server:
        setup.wait_until_started(server)
        request = server.hold_a_request()
        server.stop("SIGTERM")
        if pause:
            setup.wait_until_stopping(server)
        server.stop("Ctrl+C")
        if setup.keeps_requests:
            setup.wait_until_stopping(server)
            server.release("request")
            assert request.answer() == FOUND
        server.wait()
        assert server.lifespans() == [[*STARTED, *STOPPED]] * setup.processes


@in_turns("stop", "SIGTERM", "SIGINT to all", setups=SETUPS)
def test_a_stop_during_the_startup_closes_what_is_open(setup: Setup, stop: str) -> None:
    """The startup is interrupted."""
    with setup.start("chain", CACHE_OPENING="held") as server:
        server.wait_for("cache held", times=setup.processes)
        send(server, stop)
        assert server.wait() == setup.interrupted
        story = [*held(STARTED[:3], at="cache opening"), "cache cancelled", *STOPPED[4:]]
        assert server.stories() == [story] * setup.processes
        assert TRACEBACK not in server.output()


@every
def test_a_stop_during_the_import_leaves_nothing_open(setup: Setup) -> None:
    """Whether the process dies at once, or opens everything first and closes it."""
    with setup.start("chain", asgi="slow_asgi") as server:
        server.wait_for("import blocked", times=setup.processes)
        server.stop("SIGTERM")
        server.open_gate("import")
        server.wait()
        for story in server.stories():
            assert closes(story)


# The drain delay


@delaying
def test_a_worker_that_leaves_is_not_ready_and_serves_all(setup: Setup) -> None:
    """Until a second OS signal reaches it, a stream goes on and new connections are served."""
    options = setup.delays or ()
    with setup.start("chain", *options, PROBES="/", DRAIN_DELAY="20") as server:
        setup.wait_until_all_serve(server)
        assert server.get("/readyz").status == 200
        stream = server.send("/stream/")
        server.wait_for("stream open")
        begun = time.monotonic()
        server.stop("SIGTERM")
        wait_until_leaving(setup, server)
        assert server.get("/livez").status == 200
        assert server.get("/startupz").status == 200
        for _ in range(2 * setup.processes):
            assert server.get("/async/") == FOUND
        server.pass_time(0.6)
        assert "stream told" not in server.story()
        server.stop_group("SIGTERM")
        assert stream.answer().content == b"first\nlast\n"
        assert time.monotonic() - begun < 20
        assert server.wait() in exit_codes(setup, "SIGTERM to all")
        assert server.lifespans() == [[*STARTED, *STOPPED]] * setup.processes
        assert TRACEBACK not in server.output()


@delaying
def test_the_stop_begins_at_the_end_of_the_drain_delay(setup: Setup) -> None:
    """By itself, and then it goes as without a delay."""
    with setup.start("chain", *(setup.delays or ()), PROBES="/", DRAIN_DELAY="1") as server:
        setup.wait_until_all_serve(server)
        stream = server.send("/stream/")
        server.wait_for("stream open")
        begun = time.monotonic()
        server.stop("SIGTERM")
        assert stream.answer().content == b"first\nlast\n"
        assert time.monotonic() - begun > 0.5  # an event loop rounds
        assert server.wait() == setup.terminated
        assert server.lifespans() == [[*STARTED, *STOPPED]] * setup.processes
        assert TRACEBACK not in server.output()


@delaying
def test_ctrl_c_does_not_wait_for_the_drain_delay(setup: Setup) -> None:
    """A person at the terminal wants the server to stop."""
    with setup.start("chain", *(setup.delays or ()), DRAIN_DELAY="20") as server:
        setup.wait_until_all_serve(server)
        begun = time.monotonic()
        server.stop("Ctrl+C")
        server.wait()
        assert time.monotonic() - begun < 20
        assert server.lifespans() == [[*STARTED, *STOPPED]] * setup.processes


# Requests that do not end


@every
def test_a_request_without_end_is_given_up(setup: Setup) -> None:
    """Its client is cut off, its view cleans up while resources work, and everything closes."""
    with setup.start("chain", *setup.limit) as server:
        setup.wait_until_started(server)
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert server.wait() == setup.terminated
        [story] = [story for story in server.stories() if "stream open" in story]
        closed = "stream closed with search in cache of pool"
        assert story == [*STARTED, "stream open", closed, *STOPPED]
        assert len(server.pids()) == setup.processes
        assert TRACEBACK not in server.output()


@in_turns("stop", "SIGTERM", "SIGINT to all", setups=HURRIED)
def test_a_second_ctrl_c_gives_up_requests_alone(setup: Setup, stop: str) -> None:
    """The client is cut off, and nothing hastens the resources: not even more OS signals."""
    with setup.start("chain", CACHE_CLOSING="held") as server:
        setup.wait_until_started(server)
        request = server.hold_a_request()
        send(server, stop)
        server.wait_until_refusing()

        def press() -> bool:
            given_up = server.journal().count("cache held") == setup.processes
            if not given_up:
                server.stop("Ctrl+C")
            return given_up

        server.until(press, "the request to be given up")
        with contextlib.suppress(*CUT_OFF):
            assert request.answer().status == 500
        for name in ("SIGTERM", "SIGINT", "SIGTERM"):
            server.stop_group(name)
        server.release("cache", times=setup.processes)
        server.wait()
        story = [*STARTED, *held(STOPPED, at="cache closing")]
        assert server.lifespans() == [story] * setup.processes
        assert "unsupported" not in server.output()
        assert setup.blames_views or TRACEBACK not in server.output()


@choose(lambda setup: setup.thread_left is not None)
def test_a_thread_without_end_does_not_hold_up_the_stop(setup: Setup) -> None:
    """Everything is closed, and the log names the thread."""
    with setup.start("chain", *setup.limit) as server:
        setup.wait_until_started(server)
        server.send("/stuck/")
        server.wait_for("request stuck")
        server.stop("SIGTERM")
        assert server.wait() == setup.thread_left
        assert server.lifespans() == [[*STARTED, *STOPPED]] * setup.processes
        assert "The process ends without its threads, which go on: " in server.output()


# WebSockets


@pytest.mark.parametrize("setup", (SETUPS | VARIANTS).values(), ids=SETUPS | VARIANTS)
def test_an_open_websocket_is_told_of_the_stop(setup: Setup) -> None:
    """The notice comes first, the client is told 1012, and then everything closes."""
    with setup.start("sockets", asgi="sockets_asgi") as server:
        setup.wait_until_started(server, "hub open")
        websocket = server.open_websocket()
        assert websocket.receive() == "hub"
        server.stop("SIGTERM")
        code, _ = websocket.closed_with()
        assert code == 1012
        assert server.wait() == setup.terminated
        told = "socket websocket.disconnect"
        stories = server.stories()
        assert sorted(len(story) for story in stories) == [3] * (setup.processes - 1) + [4]
        for story in stories:
            rest = [told] if told in story else []
            assert story == ["hub open", "server stopping", *rest, "hub closed"]


@every
def test_a_websocket_that_is_accepted_after_the_notice_is_refused(setup: Setup) -> None:
    """Nobody else would tell it of the stop, which would wait for its handler."""
    with setup.start("sockets", asgi="slow_sockets_asgi") as server:
        setup.wait_until_started(server, "hub open")
        with server.address.connect() as client:
            client.sendall(HANDSHAKE)
            server.wait_for("socket held")
            server.stop("SIGTERM")
            server.wait_for("server stopping", times=setup.processes)
            server.release("socket")
            assert b" 101 " not in client.recv(4096)
        assert server.wait() == setup.terminated
        assert "socket websocket.disconnect" in server.story()
        assert "Giving up" not in server.output()


# Failures at the end


@every
def test_a_failed_shutdown_closes_the_rest(setup: Setup) -> None:
    """The exit code and the log tell of it."""
    with setup.start("chain", CACHE_CLOSING="fail") as server:
        setup.wait_until_started(server)
        server.stop("SIGTERM")
        assert server.wait() == setup.shutdown_failed
        closed = [event for event in STOPPED if event != "cache closed"]
        assert server.lifespans() == [[*STARTED, *closed]] * setup.processes
        assert "cache failed to stop: RuntimeError: cache failed in closing" in server.output()
        assert server.output().count(TRACEBACK) == setup.processes


@alone
def test_a_stop_at_the_end_of_the_startup_tells_of_a_failed_shutdown(setup: Setup) -> None:
    """The startup is complete, although the server has not read that yet."""
    with setup.start("chain", asgi="stopped_asgi", CACHE_CLOSING="fail") as server:
        assert server.wait() == setup.shutdown_failed
        assert "cache failed to stop: RuntimeError: cache failed in closing" in server.output()


@supervised
def test_workers_close_when_their_supervisor_is_killed(setup: Setup) -> None:
    """Nobody is left who could tell them, and nobody is left to serve."""
    with setup.start("chain") as server:
        setup.wait_until_started(server)
        server.stop("SIGKILL")
        assert server.wait() == -signal.SIGKILL
        server.wait_for("pool closed", times=setup.processes, alive=False)
        assert server.lifespans() == [[*STARTED, *STOPPED]] * setup.processes
        server.wait_until_refusing(alive=False)
        assert re.search("has ended, and so does this worker|arbiter has gone", server.output())
