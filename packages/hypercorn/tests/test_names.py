"""Names by which this package recognises the parts of hypercorn."""

from __future__ import annotations

import inspect

from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Config
from hypercorn.utils import raise_shutdown

from django_asgi_lifespan_hypercorn.worker import CONNECTION, SERVING


def test_tasks_have_these_names() -> None:
    """They are recognised by them."""
    assert raise_shutdown.__qualname__ == SERVING
    assert inspect.iscoroutinefunction(raise_shutdown)
    constants = [each for each in worker_serve.__code__.co_consts if inspect.iscode(each)]
    [callback] = [each for each in constants if f".{each.co_name}" in CONNECTION]
    assert f"{worker_serve.__qualname__}.<locals>.{callback.co_name}" == CONNECTION
    assert "writer" in callback.co_varnames or "writer" in callback.co_cellvars


def test_only_the_command_names_the_application() -> None:
    """Without it, the configuration belongs to a program that calls ``serve()``."""
    assert not hasattr(Config(), "application_path")
