"""daphne with this adapter, as real processes that real OS signals stop: its command, and ours."""

from __future__ import annotations

import http.client
import signal
import socket

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from testkit.client import DEADLINE, HOST, Answer
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK, held

from .conftest import Start

pytestmark = pytest.mark.process

CUT_OFF = (http.client.RemoteDisconnected, ConnectionResetError)


@pytest.mark.parametrize("stop", ["SIGHUP", "SIGQUIT"])
def test_requests_in_flight_are_answered_before_anything_closes(daphne: Start, stop: str) -> None:
    """Daphne alone dies of these OS signals."""
    with daphne("chain") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/sync/") == FOUND
        request = server.send("/held/")
        server.wait_for("request held")
        server.stop(stop)
        server.wait_until_refusing()
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() == 0
        requests = ["request answered", "request held", "request answered"]
        assert server.story() == [*STARTED, *requests, *STOPPED]
        assert TRACEBACK not in server.output()


@pytest.mark.parametrize("end", ["fail", "SIGTERM"])
def test_a_request_before_a_startup_that_is_not_completed_is_not_served(
    stock: Start, end: str
) -> None:
    """Whether it fails or is interrupted."""
    with stock("chain", CACHE_OPENING="held fail") as server:
        server.wait_for("cache held")
        server.wait_until_serving()
        request = server.send("/async/")
        if end == "SIGTERM":
            server.stop("SIGTERM")
        else:
            server.release("cache")
        with pytest.raises(CUT_OFF):
            request.answer()
        assert server.wait() == (0 if end == "SIGTERM" else 3)
        assert "request answered" not in server.story()


def test_the_port_opens_after_the_startup(command: Start) -> None:
    """A client that comes earlier is refused, and may try elsewhere."""
    with command("chain", CACHE_OPENING="held") as server:
        server.wait_for("cache held")
        assert not server.accepts()
        server.release("cache")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND


@pytest.mark.parametrize(("stop", "code"), [("SIGTERM", -signal.SIGTERM), ("Ctrl+C", 130)])
def test_stop_while_the_application_is_imported_starts_nothing(
    command: Start, stop: str, code: int
) -> None:
    """There is nothing to close."""
    with command("chain", asgi="slow_asgi") as server:
        server.wait_for("import blocked")
        server.stop(stop)
        assert server.wait() == code
        assert server.story() == ["import blocked"]
        assert TRACEBACK not in server.output()


def test_a_request_that_never_ends_is_given_up(daphne: Start) -> None:
    """Its view is cancelled as if the client had gone, while every resource still works."""
    with daphne("rooms", "--application-close-timeout", "0") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        server.send("/stream/")
        server.wait_for("stream held")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [
            "hub open",
            "stream held",
            "server stopping",
            "stream closed with hub",
            "hub closed",
        ]
        assert "Giving up requests in flight: 1." in server.output()
        assert TRACEBACK not in server.output()


@pytest.mark.parametrize("asgi", ["asgi", "inner_asgi"])
def test_a_view_and_a_consumer_of_channels_use_the_resource(daphne: Start, asgi: str) -> None:
    """Also where the router of Channels, which refuses the lifespan, is the outermost."""
    with daphne("rooms", asgi=asgi) as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        assert server.get("/use/") == Answer(200, {"get": "hub", "state": "hub"})
        with connect(f"ws://{HOST}:{server.port}/", open_timeout=DEADLINE) as client:
            assert client.recv(DEADLINE) == "hub hub"
            server.stop("SIGTERM")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "The server restarts.")
        assert server.wait() == 0
        assert server.story() == [
            "hub open",
            "server stopping",
            "room left with 1012 and hub",
            "hub closed",
        ]
        assert TRACEBACK not in server.output()


def test_what_goes_wrong_in_a_consumer_is_logged(daphne: Start) -> None:
    """As ever, and the client is told."""
    with daphne("rooms") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        with connect(f"ws://{HOST}:{server.port}/", open_timeout=DEADLINE) as client:
            assert client.recv(DEADLINE) == "hub hub"
            client.send("fail")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        assert server.output().count("Exception inside application: the consumer failed") == 1


def test_what_goes_wrong_at_the_end_is_logged(daphne: Start) -> None:
    """Once, no matter which code waits for the consumer."""
    with daphne("rooms") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        with connect(f"ws://{HOST}:{server.port}/", open_timeout=DEADLINE) as client:
            assert client.recv(DEADLINE) == "hub hub"
            client.send("fail at the end")
            assert client.recv(DEADLINE) == "noted"
            server.stop("SIGTERM")
            assert server.wait() == 0
        assert server.story()[-2:] == ["room left with 1012 and hub", "hub closed"]
        assert server.output().count("Exception inside application: the consumer failed") == 1


def test_a_consumer_that_outstays_its_client_is_cancelled(daphne: Start) -> None:
    """After daphne's ``--application-close-timeout``."""
    with daphne("rooms", "--application-close-timeout", "0") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        with connect(f"ws://{HOST}:{server.port}/", open_timeout=DEADLINE) as client:
            client.send("stay")
        server.wait_for("room cancelled")
        assert "took too long to shut down and was killed" in server.output()


def test_reactor_stop_closes_as_well(daphne: Start) -> None:
    """A view calls it here."""
    with daphne("rooms") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        assert server.get("/stop/") == Answer(200, {"stop": True})
        assert server.wait() == 0
        assert server.story() == ["hub open", "server stopping", "hub closed"]


def test_nobody_is_served_while_resources_close(daphne: Start) -> None:
    """Neither on a new connection, nor on one that was kept alive."""
    with daphne("chain", CACHE_CLOSING="held") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        client = http.client.HTTPConnection(HOST, server.port, timeout=DEADLINE)
        client.request("GET", "/async/")
        assert client.getresponse().read()
        server.stop("SIGTERM")
        server.wait_for("cache held")
        assert not server.accepts()
        client.request("GET", "/async/")
        server.release("cache")
        with pytest.raises(CUT_OFF):
            client.getresponse()
        client.close()
        assert server.wait() == 0
        closed = held(STOPPED, at="cache closing")
        assert server.story() == [*STARTED, "request answered", *closed]
        assert TRACEBACK not in server.output()


def test_a_port_in_use_starts_nothing(daphne: Start) -> None:
    """The exit code is that of daphne."""
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        with daphne("chain", "--port", port) as server:
            assert server.wait() == 1
            assert server.story() == []
            assert "ddress already in use" in server.output()


def test_an_application_without_lifespan_ends_with_3(command: Start) -> None:
    """With the remedy in the log: who takes this command wants a lifespan."""
    with command("rooms", asgi="plain_asgi") as server:
        assert server.wait() == 3
        assert "get_asgi_application from django_asgi_lifespan.asgi instead" in server.output()


def test_an_application_without_lifespan_is_served_as_ever(stock: Start) -> None:
    """The hooks do nothing where nothing has a lifespan."""
    with stock("rooms", asgi="plain_asgi") as server:
        server.wait_until_serving()
        assert server.get("/nothing/").status == 404
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == []
