"""Real servers run layouts with more than one application, and the log tells what is wrong."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start

pytestmark = [pytest.mark.process, pytest.mark.real_clock]

SERVERS = {
    "uvicorn": ("--host", HOST, "--port", "{port}"),
    "hypercorn": ("--bind", f"{HOST}:{{port}}"),
    "gunicorn": ("--bind", f"{HOST}:{{port}}", "--no-control-socket", "--worker-class"),
    "granian": ("--host", HOST, "--port", "{port}", "--interface"),
    "daphne": ("--bind", HOST, "--port", "{port}"),
}


def serve(
    layout: str,
    server: str,
    *options: str,
    module: str = "layouts",
    under: Sequence[str] = (),
    **environment: str,
) -> AbstractContextManager[Process]:
    """Start *server* with one of the layouts, *under* a program that starts it."""
    if layout in ("fastapi", "channels"):
        pytest.importorskip(layout)
    command = [*under, sys.executable, "-m", server, *SERVERS[server], *options]
    name = f"{layout}()" if server == "hypercorn" else f"{layout}_application"
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    return start([*command, f"{module}:{name}"], environment=environment)


MINE = ["pool open", "signal sent", "pool close"]

IN_FRONT = ["pool open", "front open with Pool", "signal sent", "front close", "pool close"]

RUNNERS = {
    "uvicorn": ("uvicorn",),
    "uvicorn-lifespan": ("django_asgi_lifespan_uvicorn",),
    "hypercorn": ("hypercorn",),
    "gunicorn uvicorn": (
        "gunicorn",
        "django_asgi_lifespan_gunicorn.LifespanWorker",
    ),
    "gunicorn": ("gunicorn", "django_asgi_lifespan_gunicorn.NativeLifespanWorker"),
}
SERVERS["django_asgi_lifespan_uvicorn"] = SERVERS["uvicorn"]


@pytest.mark.parametrize(
    ("layout", "runner"),
    [
        *[("fastapi", runner) for runner in RUNNERS],
        *[("starlette", runner) for runner in RUNNERS],
        *[("channels", runner) for runner in RUNNERS],
        ("wrapped", "uvicorn"),
        ("wrapped", "hypercorn"),
        ("driven", "uvicorn"),
        ("driven", "hypercorn"),
        ("proxy_fix_unmirrored", "uvicorn"),
        ("proxy_fix_unmirrored", "hypercorn"),
    ],
)
def test_a_layout_lives_with_the_server(layout: str, runner: str) -> None:
    """Everything opens and closes in order, and both sides have the objects of the project."""
    is_front = layout in ("fastapi", "starlette")
    with serve(layout, *RUNNERS[runner]) as server:
        server.wait_until_serving()
        for _ in range(2):
            answer = server.get("/django/")
            assert answer.content == {
                "shared": True,
                "keys": ["front", "pool"] if is_front else ["pool"],
            }
        if is_front:
            assert server.get("/front").content == {"shared": True, "front": "yes"}
        server.stop("SIGTERM")
        server.wait()
        assert server.story() == (IN_FRONT if is_front else MINE)
        assert "Traceback" not in server.output()


FRONT = (
    "Another application stands in front, {}, and does not pass the lifespan scope on. Put Lifes"
)

CAUSES = {
    ("alone", "uvicorn", "--lifespan", "off"): "uvicorn runs with '--lifespan off'",
    ("alone", "gunicorn", "asgi", "--asgi-lifespan", "off"): (
        "gunicorn runs with '--asgi-lifespan off'"
    ),
    ("alone", "granian", "asginl"): "granian runs with '--interface asginl'",
    ("unadapted", "daphne"): "daphne does not speak the lifespan protocol, and its adapter is not",
    ("forgotten", "uvicorn"): FRONT.format("starlette.applications.Starlette"),
    ("forgotten", "hypercorn"): FRONT.format("starlette.applications.Starlette"),
    ("forgotten", "gunicorn", "asgi"): FRONT.format("starlette.applications.Starlette"),
    ("forgotten", "granian", "asgi"): FRONT.format("starlette.applications.Starlette"),
    ("forgotten", "daphne"): FRONT.format("starlette.applications.Starlette"),
    ("swallowed", "uvicorn"): FRONT.format("test_applications.http_only.<locals>.wrapper"),
    ("swallowed", "hypercorn"): FRONT.format("test_applications.http_only.<locals>.wrapper"),
}


@pytest.mark.parametrize("command", CAUSES, ids=" ".join)
def test_the_log_names_the_cause(command: tuple[str, ...]) -> None:
    """The flag of the server, the server, or the application in front, each with its remedy.

    The error of ``.get()`` says the same.
    """
    with serve(*command) as server:
        server.wait_until_serving()
        assert server.get("/django/").status == 500
        server.wait_for_output("pool is not available")
        output = server.output()
    cause = CAUSES[command]
    if sys.version_info < (3, 11):  # frames do not know their qualified names
        cause = cause.replace("http_only.<locals>.", "")
    assert f"so nothing was opened: pool, 1 signal receivers. {cause}" in output
    assert f"pool is not available: no lifespan ran in this process. {cause}" in output


@pytest.mark.skipif(importlib.util.find_spec("hypercorn") is None, reason="it has the wrapper")
def test_without_the_setting_the_error_of_the_copy_names_it() -> None:
    """In the log of the server, which answers 500."""
    with serve("proxy_fix", "hypercorn") as server:
        server.wait_until_serving()
        assert server.get("/django/").status == 500
        server.wait_for_output(
            r"ProxyFixMiddleware copies the scope of each request deeply, and 'pool' in its state "
            r"cannot be copied: TypeError: .*MIRROR_STATE': False"
        )
