"""The stop of daphne, and the moments before and after it."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from testkit.client import DEADLINE, HANDSHAKE, HOST
from testkit.processes import Process
from testkit.stories import STARTED, STOPPED, held

from .conftest import Start

pytestmark = pytest.mark.process

TRACEBACK = "Traceback (most recent call last)"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and its self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


def try_late_websocket(server: Process) -> None:
    """Open a WebSocket that is accepted after the stop has begun, and be refused."""
    refused: list[int] = []

    def client() -> None:
        try:
            connect(f"ws://{HOST}:{server.port}/late/", open_timeout=DEADLINE).close()
        except InvalidStatus as error:
            refused.append(error.response.status_code)

    thread = threading.Thread(target=client)
    thread.start()
    server.wait_for("accept held")
    server.stop("SIGTERM")
    server.wait_until_refusing()
    server.release("accept")
    thread.join(DEADLINE)
    assert refused == [403]


@pytest.mark.parametrize("asgi", ["asgi", "inner_asgi"])
def test_a_websocket_that_is_accepted_too_late_is_refused(daphne: Start, asgi: str) -> None:
    """Nobody would tell it of the stop, which waits only for its handler."""
    with daphne("rooms", asgi=asgi) as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        try_late_websocket(server)
        assert server.wait() == 0
        assert "Giving up" not in server.output()
        assert server.story()[-1] == "hub closed"
        assert TRACEBACK not in server.output()


GREETING = b"\x81\x07hub hub"
CLOSE = b"\x88\x16\x03\xf4The server restarts."
ANSWER = b"\x88\x82\0\0\0\0\x03\xf4"


def test_a_client_has_a_second_to_answer_the_close(daphne: Start) -> None:
    """By itself, autobahn drops it at the end of a second of the clock, which may be near."""
    with daphne("rooms") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        with server.address.connect() as client:
            stream = client.makefile("rb")
            client.sendall(HANDSHAKE)
            while stream.readline().strip():
                pass
            assert stream.read(len(GREETING)) == GREETING
            server.until(lambda: 0.9 < time.time() % 1 < 0.95, "the end of a second")
            server.stop("SIGTERM")
            assert stream.read(len(CLOSE)) == CLOSE
            server.pass_time(0.3)
            client.sendall(ANSWER)
            assert server.wait() == 0
        assert server.story()[-2:] == ["room left with 1012 and hub", "hub closed"]


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_stream_over_tls_is_given_up_while_resources_work(
    daphne: Start, certificate: Path, http2: bool
) -> None:
    """A request that was answered before on another connection does no harm."""
    endpoint = f"ssl:{{port}}:privateKey={certificate}:interface={HOST}"
    options = ["--endpoint", endpoint, "--application-close-timeout", "1"]
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.check_hostname = False
    with daphne("rooms", *options, bind=False) as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        with httpx.Client(http2=http2, verify=trust, timeout=DEADLINE) as client:
            base = f"https://{HOST}:{server.port}"
            answer = client.get(f"{base}/use/")
            assert (answer.status_code, answer.http_version) == (
                200,
                "HTTP/2" if http2 else "HTTP/1.1",
            )
            with client.stream("GET", f"{base}/stream/") as response:
                server.wait_for("stream held")
                server.stop("SIGTERM")
                # With OpenSSL 3.6, that of newer Pythons, the client sees a reset over HTTP/1.1.
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                    response.read()
        assert server.wait() == 0
        assert server.story()[-2:] == ["stream closed with hub", "hub closed"]
        assert server.output().count("Giving up requests in flight: 1.") == 1
        assert TRACEBACK not in server.output()


def test_requests_are_given_up_in_the_last_second_of_their_limit(daphne: Start) -> None:
    """They have the limit from the begin of the stop on, and not a second more."""
    with daphne("rooms", "--application-close-timeout", "2") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        server.send("/stream/")
        server.wait_for("stream held")
        server.stop("SIGTERM")
        assert server.wait() == 0
        times = {str(event): event.time for event in server.journal()}
        assert 0.9 < times["stream closed with hub"] - times["server stopping"] < 2
        assert (
            "Waiting at most 2 s for requests in flight: 1 (--application-close-timeout)."
            in server.output()
        )


def test_no_client_is_accepted_before_the_startup_is_complete(command: Start) -> None:
    """Not even for the moment in which the port is tried: the client would be reset."""
    with command("chain", CACHE_OPENING="held") as server:
        while "cache held" not in server.story():
            assert not server.accepts()
        server.release("cache")
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*held(STARTED, at="cache opening"), *STOPPED]


EXIT_HANDLER = """
import atexit
from testkit import gates
atexit.register(gates.block, "exit")  # before all others, and so called after them
"""


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_another_os_signal_while_python_ends_changes_nothing(
    daphne: Start, changing: Path, stop: str
) -> None:
    """Every resource is closed, and the exit code says so."""
    changing.with_name("__init__.py").write_text(EXIT_HANDLER)
    variables = {"DJANGO_SETTINGS_MODULE": "runserver_settings", "MORE_APPS": ""}
    path = f"{Path(__file__).parent}:{changing.parents[1]}"
    with daphne("chain", PYTHONPATH=path, **variables) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.stop("SIGTERM")
        server.wait_for("exit blocked")
        server.stop(stop)
        server.stop(stop)
        server.release("exit")
        assert server.wait() == 0


LEFT_BEHIND = """
import threading
from django_asgi_lifespan import resource

@resource
async def supplier():
    threading.Thread(target=threading.Event().wait, name="left behind").start()
    {opening}
    yield
    raise LookupError("nobody there")
"""


@pytest.mark.parametrize(("opening", "code"), [("raise LookupError", 3), ("", 1)])
@pytest.mark.parametrize("target", ["stock", "command", "noreload"])
def test_the_exit_code_is_the_same_with_a_thread_left_behind(
    request: pytest.FixtureRequest, changing: Path, target: str, opening: str, code: int
) -> None:
    """A failure is not hidden by another."""
    changing.write_text(LEFT_BEHIND.format(opening=opening))
    variables = {"DJANGO_SETTINGS_MODULE": "runserver_settings", "MORE_APPS": ""}
    variables["PYTHONPATH"] = f"{Path(__file__).parent}:{changing.parents[1]}"
    if target == "noreload":
        starting = request.getfixturevalue("runserver")(
            "--noreload", apps="django_asgi_lifespan_daphne daphne"
        )
    else:
        starting = request.getfixturevalue(target)("chain", **variables)
    with starting as server:
        if code == 1:
            server.wait_for("search open")
            server.wait_until_serving()
            server.stop("SIGTERM")
        since = time.monotonic()
        assert server.wait() == code
        assert time.monotonic() - since < DEADLINE
        assert "The process ends without its threads, which go on: left behind" in server.output()
