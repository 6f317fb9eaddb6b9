"""The controls: a small server that keeps every row of the contract, and one that keeps none.

``python reference.py APPLICATION PORT [--workers N] [--graceful S] [--max-requests N]
[--lifetime S] [--null]``

With ``--null`` it never opens a lifespan, and hears no OS signal before it serves. If a probe that
is required passes there, or fails without ``--null``, the probe is wrong, and no result counts.
Neither is meant for anything else: HTTP is as small as the scenarios need.

Source: "Lifespan Protocol" and "HTTP & WebSocket ASGI Message Format" of the ASGI specification.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

BOOT_FAILURE = 3
REPEATED = 0.5
"""Seconds within which a second OS signal is the first one, told twice."""

logger = logging.getLogger("reference")


# The supervisor


class Supervisor:
    """Binds the port, keeps the workers running, and stops them before it ends itself."""

    SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGCHLD")

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._wanted = options.workers
        self._workers: list[int] = []
        self._leaving: set[int] = set()
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Return the exit code."""
        self._listener = socket.create_server(("127.0.0.1", self._options.port))
        signals = {getattr(signal, name) for name in self.SIGNALS}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        modified = _newest()
        while not self._stopping or self._workers:
            while not self._stopping and len(self._staying()) < self._wanted:
                self._workers.append(self._fork(signals))
            caught = signal.sigtimedwait(signals, 0.1)
            self._reap()
            if caught is not None:
                self._handle(signal.Signals(caught.si_signo))
            if _newest() != modified:
                modified = _newest()
                self._leave(self._staying())
        return self._code

    def _staying(self) -> list[int]:
        return [pid for pid in self._workers if pid not in self._leaving]

    def _fork(self, signals: set[signal.Signals]) -> int:
        supervisor = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        sys.exit(Worker(self._options, self._listener, supervisor).run(signals))

    def _handle(self, caught: signal.Signals) -> None:
        if caught in {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}:
            self._stop()
        elif caught is signal.SIGHUP:
            self._leave(self._staying())
        elif caught is signal.SIGTTIN:
            self._wanted += 1
        elif caught is signal.SIGTTOU and self._wanted > 1:
            self._wanted -= 1
            self._leave(self._staying()[:1])

    def _stop(self) -> None:
        self._stopping = True
        self._listener.close()
        self._leave(self._workers)

    def _leave(self, pids: list[int]) -> None:
        for pid in pids:
            self._leaving.add(pid)
            os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        for pid in list(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            self._workers.remove(pid)
            if os.waitstatus_to_exitcode(status) == BOOT_FAILURE:
                self._code = BOOT_FAILURE
                if not self._stopping:
                    self._stop()


def _newest() -> float:
    return max(path.stat().st_mtime for path in Path.cwd().glob("*.py"))


# A worker


class Worker:
    """Imports the application, runs its lifespan, and serves in between."""

    def __init__(
        self, options: argparse.Namespace, listener: socket.socket, supervisor: int
    ) -> None:
        self._options = options
        self._listener = listener
        self._supervisor = supervisor
        self._told = 0.0
        self._requests = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._websockets: set[WSConnection] = set()
        self._state: dict[str, Any] = {}

    def run(self, signals: set[signal.Signals]) -> int:
        """Return the exit code."""
        for number in signals - {signal.SIGCHLD, signal.SIGHUP}:
            signal.signal(number, signal.SIG_IGN if self._options.null else self._told_early)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        sys.path.insert(0, str(Path.cwd()))
        module, _, name = self._options.application.partition(":")
        self._application = getattr(importlib.import_module(module), name)
        return 0 if self._told else asyncio.run(self._live())

    def _told_early(self, number: int, frame: object) -> None:
        self._told = time.monotonic()

    async def _live(self) -> int:
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._tell)
        if self._told:
            return 0
        lifespan = None if self._options.null else Lifespan(self._application)
        if lifespan is not None and not await lifespan.ask("startup"):
            return BOOT_FAILURE
        if lifespan is not None:
            self._state = lifespan.state
        self._listener.setblocking(False)
        loop.add_reader(self._listener, self._accept)
        watch = asyncio.create_task(self._watch())
        if self._options.lifetime:
            loop.call_later(self._options.lifetime, self._stop.set)
        await self._stop.wait()
        watch.cancel()
        loop.remove_reader(self._listener)
        self._listener.close()
        await self._drain()
        return 0 if lifespan is None or await lifespan.ask("shutdown") else 1

    def _tell(self) -> None:
        if self._told and time.monotonic() - self._told > REPEATED:
            self._force.set()
        self._told = self._told or time.monotonic()
        self._stop.set()

    async def _watch(self) -> None:
        while os.getppid() == self._supervisor:  # noqa: ASYNC110 (nobody tells of its end)
            await asyncio.sleep(0.1)
        self._stop.set()

    async def _drain(self) -> None:
        """Let open requests end within the graceful seconds, or until forced, then cancel them."""
        if not self._connections:
            return
        forced = asyncio.create_task(self._force.wait())
        ended = asyncio.ensure_future(asyncio.wait(self._connections))
        await asyncio.wait(
            {forced, ended},
            timeout=self._options.graceful,
            return_when=asyncio.FIRST_COMPLETED,
        )
        forced.cancel()
        for task in list(self._connections):
            task.cancel()
        await ended

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:  # another worker was faster
            return
        task = asyncio.create_task(self._serve(connection))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        stopped = asyncio.create_task(self._stop.wait())
        head = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        await asyncio.wait({head}, timeout=1)  # every accepted client is served once
        try:
            while True:
                await asyncio.wait({head, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not head.done():
                    head.cancel()
                    break
                received = head.result()
                if b"upgrade: websocket" in received.lower():
                    await self._serve_websocket(received, reader, writer, stopped)
                    break
                if not await self._serve_request(received, writer):
                    break
                head = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            stopped.cancel()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve_request(self, received: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request without a body, and return whether the connection stays open."""
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(received)
        request = connection.next_event()
        assert isinstance(request, h11.Request)
        close = b"close" in dict(request.headers).get(b"connection", b"")
        scope = self._scope("http", request.target) | {
            "method": request.method.decode(),
            "headers": [tuple(pair) for pair in request.headers],
        }

        pending: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not pending:
                await asyncio.Event().wait()  # nobody says that the client has left
            return pending.pop()

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *([(b"connection", b"close")] if close else [])]
                start = h11.Response(status_code=message["status"], headers=headers)
                writer.write(connection.send(start))
                return
            writer.write(connection.send(h11.Data(data=message.get("body", b""))))
            if not message.get("more_body"):
                writer.write(connection.send(h11.EndOfMessage()))
            await writer.drain()

        await self._application(scope, receive, send)
        self._requests += 1
        if self._requests == self._options.max_requests:
            self._stop.set()
        return not close

    async def _serve_websocket(
        self,
        received: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        stopped: asyncio.Task[bool],
    ) -> None:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(received)
        request = next(iter(connection.events()))
        assert isinstance(request, Request)
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        messages.put_nowait({"type": "websocket.connect"})

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.accept":
                event: Any = AcceptConnection()
            elif message["type"] == "websocket.close":
                event = CloseConnection(code=message.get("code", 1000))
            else:
                event = TextMessage(data=message["text"])
            writer.write(connection.send(event))

        application = asyncio.create_task(
            self._application(self._scope("websocket", request.target.encode()), messages.get, send)
        )
        gone = asyncio.create_task(reader.read())
        await asyncio.wait({application, gone, stopped}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not application.done():
            if stopped.done():
                writer.write(connection.send(CloseConnection(code=1012)))
            messages.put_nowait({"type": "websocket.disconnect", "code": 1012})
        await application

    def _scope(self, kind: str, target: bytes) -> dict[str, Any]:
        path, _, query = target.partition(b"?")
        scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "http" if kind == "http" else "ws",
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [],
            "client": None,
            "server": ("127.0.0.1", self._options.port),
        }
        return scope if self._options.null else scope | {"state": self._state.copy()}


class Lifespan:
    """The server's side of one lifespan."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self.state: dict[str, Any] = {}
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        self._task = asyncio.create_task(application(scope, self._messages.get, self._answers.put))

    async def ask(self, phase: str) -> bool:
        """Send the message of the phase, and return whether the application completed it."""
        self._messages.put_nowait({"type": f"lifespan.{phase}"})
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            return False
        message = answer.result()
        if message["type"] == f"lifespan.{phase}.failed":
            logger.error("lifespan.%s.failed: %s", phase, message.get("message", ""))
        elif phase == "startup":
            return True
        await asyncio.wait({self._task})
        return bool(message["type"] == f"lifespan.{phase}.complete")


def main() -> int:
    """Run the server that the command line describes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("port", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--graceful", type=float, default=3)
    parser.add_argument("--max-requests", type=int)
    parser.add_argument("--lifetime", type=float)
    parser.add_argument("--null", action="store_true")
    logging.basicConfig(level=logging.INFO)
    return Supervisor(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
