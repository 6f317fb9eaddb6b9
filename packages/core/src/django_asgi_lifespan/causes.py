"""Why no lifespan was started: the server, its flag, or an application in front; each remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .adapters.tasks import calls
from .lifespans import lifespans
from .surroundings import callers, module_of, modules_of_all_threads, name_of, stack, type_name

if TYPE_CHECKING:
    from .protocol import Scope

__all__ = ("why_no_lifespan", "why_not_passed_on")

ANY_SERVER = (
    "Run a server that speaks the lifespan protocol, and do not switch it off (uvicorn: "
    "--lifespan on, granian: --interface asgi)."
)

IN_CODE = "Put 'async with run_lifespan():' around the code, or 'with run_lifespan_sync():'."

CAUSES = {
    "uvicorn": (
        "uvicorn runs with '--lifespan off', or with lifespan='off' in a program or in a worker "
        "class of gunicorn. Use 'on'."
    ),
    "gunicorn": "gunicorn runs with '--asgi-lifespan off'. Use 'on'.",
    "granian": "granian runs with '--interface asginl'. Use '--interface asgi'.",
    "daphne": (
        "daphne does not speak the lifespan protocol, and its adapter is not in use. Install it: "
        "pip install \"django-asgi-lifespan[daphne]>=1\". ASGI_LIFESPAN['ADAPTERS'] must not be "
        "None."
    ),
    "client": "{name} sends requests to the application, and starts no lifespan. " + IN_CODE,
    "front": (
        "Another application stands in front, {name}, and does not pass the lifespan scope on. "
        "Put LifespanApplication around the outermost application: "
        "application = LifespanApplication(application)."
    ),
    "front or server": (
        "Either the application in front, {name}, does not pass the lifespan scope on: put "
        "LifespanApplication around it. Or the server does not start it. " + ANY_SERVER
    ),
    "any server": ANY_SERVER,
    "runserver": (
        "Django's own runserver has no lifespan. The runserver of uvicorn's adapter has one: "
        'pip install "django-asgi-lifespan[uvicorn]>=1", and put "django_asgi_lifespan_uvicorn" '
        "before django.contrib.staticfiles in INSTALLED_APPS."
    ),
    "wsgi": "The server runs the WSGI application, which has none. Serve asgi.py instead.",
    "test client": "Django's test client starts none. " + IN_CODE,
    "application": (
        "asgi.py does not make the application with a lifespan. Import get_asgi_application from "
        "django_asgi_lifespan.asgi there."
    ),
    "anything": (
        "In a script, a command or a test, use run_lifespan() or run_lifespan_sync(). Under a "
        "server, asgi.py has to call django_asgi_lifespan.asgi.get_asgi_application(), and the "
        "server has to start the lifespan: those for WSGI, Django's own runserver and Daphne "
        "without its adapter do not."
    ),
}
"""What prevents the lifespan, each with its remedy."""

SERVERS = ("uvicorn", "hypercorn", "gunicorn", "granian", "daphne")

CLIENTS = ("httpx.", "httpx2.", "starlette.testclient")

_PLUMBING = (*SERVERS, "uvicorn_worker", "asgiref", "anyio", "asyncio", "contextlib", "twisted")
"""Modules between the server and the application, which pass everything on."""


def why_not_passed_on(scope: Scope) -> str:
    """Return why the server's lifespan scope did not reach the application, in a request of it."""
    for server, prevents in _PREVENTS.items():
        if prevents():
            return CAUSES[server]
    here = list(callers())
    client = next((frame for frame in here if module_of(frame).startswith(CLIENTS)), None)
    if client is not None:
        return CAUSES["client"].format(name=name_of(client))
    in_front = [frame for frame in here if module_of(frame).partition(".")[0] not in _PLUMBING]
    if "app" in scope:  # of Starlette, whose middleware may run this in a task of its own
        name = type_name(scope["app"])
    elif in_front:
        name = name_of(in_front[-1])
    else:
        return CAUSES["any server"]
    is_known = any(map(_is_on_stack, SERVERS))
    return CAUSES["front" if is_known else "front or server"].format(name=name)


def why_no_lifespan() -> str:
    """Return why no lifespan was started in this process, for the code that asks for one."""
    if lifespans.cause:  # a request found it
        return lifespans.cause
    modules = modules_of_all_threads()
    for cause, module in (
        ("runserver", "django.core.servers.basehttp"),
        ("wsgi", "django.core.handlers.wsgi"),
        ("test client", "django.test.client"),
    ):
        if module in modules:
            return CAUSES[cause]
    if not lifespans.gates and "django.core.handlers.asgi" in modules:
        return CAUSES["application"]
    from .places import remedy

    return remedy() or CAUSES["anything"]


def _is_on_stack(package: str) -> bool:
    return any(module_of(frame).partition(".")[0] == package for frame in stack())


def _uvicorn_is_off() -> bool:
    return _is_on_stack("uvicorn") and any(
        call.variables["self"].config.lifespan == "off"
        for call in calls("uvicorn.server", "Server.serve")
    )


def _gunicorn_is_off() -> bool:
    return any(worker.cfg.asgi_lifespan == "off" for worker in _selves("gunicorn.workers.gasgi"))


def _granian_is_off() -> bool:
    return any(
        frame.f_code.co_name == "_spawn_asgi_worker"
        for frame in stack()
        if module_of(frame).startswith("granian.")
    )


def _daphne_has_none() -> bool:
    return "django_asgi_lifespan_daphne.hooks" not in sys.modules and bool(_selves("daphne.server"))


def _selves(module: str) -> list[Any]:
    return [
        frame.f_locals["self"]
        for frame in stack()
        if module_of(frame) == module and "self" in frame.f_locals
    ]


_PREVENTS: dict[str, Callable[[], bool]] = {
    "uvicorn": _uvicorn_is_off,
    "gunicorn": _gunicorn_is_off,
    "granian": _granian_is_off,
    "daphne": _daphne_has_none,
}
