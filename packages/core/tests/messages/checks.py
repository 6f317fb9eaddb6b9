"""Messages of the system checks. Each is printed with its hint by ``manage.py check``."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from django_asgi_lifespan import checks
from messages.table import says
from test_checks import Project, with_option

CHECK = "manage.py check"


def found(project: Project, **settings: Any) -> str:
    """Return the findings as the command prints them."""
    return "\n".join(f"{each.msg} {each.hint}" for each in project.check(**settings))


@says(
    CHECK,
    "ASGI_LIFESPAN has no key 'ADAPTER'. Did you mean 'ADAPTERS'? …. All keys of ASGI_LIFESPAN are "
    "optional.",
    "Did you mean 'ADAPTERS'?",
)
def _a_wrong_setting(project: Project) -> str:
    return found(project, ADAPTER=[])


@says(
    CHECK,
    "checked.lifespan cannot be imported: … Until it can be imported, no lifespan starts. To see "
    'the traceback: python manage.py shell -c "import checked.lifespan"',
    'python manage.py shell -c "import checked.lifespan"',
)
def _a_broken_lifespan_module(project: Project) -> str:
    project.write("lifespan", "import nothing_at_all")
    return found(project)


@says(
    CHECK,
    "client (checked.lifespan.client) requires 'x', and no such resource is declared. … Until this "
    "is changed, no lifespan starts.",
    "Until this is changed",
)
def _a_wrong_requirement(project: Project) -> str:
    project.write("lifespan", with_option("requires=['x']"))
    return found(project)


@says(
    CHECK,
    "client (checked.lifespan.client) may take 30 s for its startup, and the whole startup may "
    "take 20 s. It would be cancelled earlier than it says. Lower startup_timeout of client, or "
    "raise ASGI_LIFESPAN['STARTUP_TIMEOUT'].",
    "Lower startup_timeout of client, or raise ASGI_LIFESPAN['STARTUP_TIMEOUT']",
)
def _a_limit_above_the_limit_of_all(project: Project) -> str:
    project.write("lifespan", with_option("startup_timeout=30"))
    return found(project, STARTUP_TIMEOUT=20)


@says(
    CHECK,
    "ASGI_LIFESPAN['DRAIN_DELAY'] is 15 s, and the shutdown may take 20 s. Requests in flight have "
    "no time left of the 30 s after which Kubernetes and gunicorn kill by default. Lower "
    "DRAIN_DELAY or SHUTDOWN_TIMEOUT. If you have raised those limits, add "
    "django_asgi_lifespan.W009 to SILENCED_SYSTEM_CHECKS.",
    "Lower DRAIN_DELAY or SHUTDOWN_TIMEOUT",
)
def _a_delay_that_leaves_no_time(project: Project) -> str:
    return found(project, DRAIN_DELAY=15)


@says(CHECK, "The adapter nowhere cannot be imported: … No server starts until then.", "until then")
def _an_adapter_that_is_nowhere(project: Project) -> str:
    return found(project, ADAPTERS=["nowhere"])


@says(
    CHECK,
    "The ASGI application checked.asgi cannot be imported: ZeroDivisionError: …. No server starts "
    "until then. If it has another place, let ASGI_APPLICATION name it.",
    "let ASGI_APPLICATION name it",
)
def _a_broken_application(project: Project) -> str:
    project.write("asgi", "1 / 0")
    return found(project)


NONE = (
    "so nothing would open this: client. In asgi.py, import get_asgi_application from "
    "django_asgi_lifespan.asgi, or put LifespanApplication around the outermost application. If "
    "asgi.py has another place, let ASGI_APPLICATION name it."
)


@says(
    CHECK,
    f"checked.asgi makes no application with a lifespan, {NONE}",
    "In asgi.py, import get_asgi_application from django_asgi_lifespan.asgi",
)
def _an_application_of_django(project: Project) -> str:
    project.write("asgi", "application = None")
    return found(project)


@says(CHECK, f"No asgi.py was found, {NONE}", "let ASGI_APPLICATION name it")
def _no_application(project: Project) -> str:
    (project.folder / "asgi.py").unlink()
    return found(project)


@says(
    CHECK,
    "manage.py runserver is the command of django.core, and starts no lifespan. Django's own "
    'runserver has no lifespan. …: pip install "django-asgi-lifespan[uvicorn]>=1", …',
    'pip install "django-asgi-lifespan[uvicorn]>=1"',
)
def _a_runserver_of_django(project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(checks, "get_commands", lambda: {"runserver": "django.core"})
    return found(project)


@says(
    CHECK,
    "DATABASES['default'] has CONN_MAX_AGE=60. Under ASGI each request has a thread of its own, so "
    "no other request finds the connection that it leaves open. Set ASGI_LIFESPAN = "
    "{'REQUEST_THREADS': 16}, which keeps the threads, or CONN_MAX_AGE to 0. Django 5.1 has a pool "
    "for PostgreSQL: OPTIONS = {'pool': True}.",
    "Set ASGI_LIFESPAN = {'REQUEST_THREADS': 16}",
)
def _persistent_connections(project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
    return found(project)


@says(
    CHECK,
    "DATABASES['default'] has CONN_MAX_AGE=60 without CONN_HEALTH_CHECKS. After a restart of the "
    "database, every kept thread fails one request. Set CONN_HEALTH_CHECKS to True.",
    "Set CONN_HEALTH_CHECKS to True",
)
def _unchecked_connections(project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
    return found(project, REQUEST_THREADS=16)


@says(
    CHECK,
    "ASGI_LIFESPAN['REQUEST_THREADS'] is set, but DATABASES['default'] has neither a CONN_MAX_AGE "
    "nor a pool. Each request opens a connection. Set CONN_MAX_AGE to some minutes, and "
    "CONN_HEALTH_CHECKS to True.",
    "Set CONN_MAX_AGE to some minutes",
)
def _connections_that_do_not_persist(project: Project) -> str:
    return found(project, REQUEST_THREADS=16)
