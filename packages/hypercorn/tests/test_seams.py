"""What this package reads and calls of hypercorn is there, in this release."""

from __future__ import annotations

import inspect

import hypercorn.__main__ as hypercorn_main
import pytest
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.run import asyncio_worker, uvloop_worker, worker_serve
from hypercorn.config import Config
from hypercorn.run import run
from hypercorn.utils import raise_shutdown

from django_asgi_lifespan_hypercorn.worker import CONNECTION, SERVING


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (worker_serve, "async with TaskGroup() as task_group:"),
        (worker_serve, "task_group.create_task(raise_shutdown(shutdown_trigger))"),
        (worker_serve, "task_group.create_task(raise_shutdown(context.terminate.wait))"),
        (worker_serve, "async def _server_callback(reader: asyncio.StreamReader, writer: "),
        (worker_serve, "config.graceful_timeout"),
        (asyncio_worker, "load_application(config.application_path"),
        (uvloop_worker, "load_application(config.application_path"),
        (Lifespan.__init__, "self.config = config"),
        (Lifespan.handle_lifespan, "self.asgi_receive,"),
        (Lifespan.asgi_send, "startup.complete"),
        (Lifespan.asgi_send, "self.startup.set()"),
        (Lifespan.asgi_send, 'raise LifespanFailureError("startup"'),
        (Lifespan.asgi_send, "self.shutdown.set()"),
        (Lifespan.asgi_send, 'raise LifespanFailureError("shutdown"'),
        (ASGIWrapper.__call__, "await self.app(scope, receive, send)"),
        (run, 'get_context("spawn")'),
        (hypercorn_main.main, "return run(config)"),
    ],
    ids=lambda value: getattr(value, "__qualname__", value),
)
def test_lines(method: object, text: str) -> None:
    """Each stands where this package relies on it."""
    assert text in inspect.getsource(method)  # type: ignore[arg-type]


def test_names() -> None:
    """Tasks are recognised by them."""
    assert raise_shutdown.__qualname__ == SERVING
    assert inspect.iscoroutinefunction(raise_shutdown)
    constants = [each for each in worker_serve.__code__.co_consts if inspect.iscode(each)]
    [callback] = [each for each in constants if f".{each.co_name}" in CONNECTION]
    assert f"{worker_serve.__qualname__}.<locals>.{callback.co_name}" == CONNECTION
    assert "writer" in callback.co_varnames or "writer" in callback.co_cellvars


def test_only_the_command_names_the_application() -> None:
    """Without it, the configuration belongs to a program that calls ``serve()``."""
    assert not hasattr(Config(), "application_path")
