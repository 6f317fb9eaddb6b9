"""The system checks: mistakes that would end a start. They import the project and open nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib import import_module
from typing import cast

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands
from django.utils.module_loading import import_string

from .adapters.limits import KILL_LIMIT
from .adapters.tasks import variables_on_stack
from .autodiscovery import import_modules
from .causes import CAUSES
from .conf import LifespanSettings, lifespan_settings
from .connection_checks import check_connections
from .declaration import Resource
from .errors import AdapterError, ResourceDeclarationError, SettingError, describe
from .lifespan import registered
from .lifespans import lifespans
from .status import declared

__all__ = ("check_project",)

APP = "django_asgi_lifespan"


def check_project() -> list[CheckMessage]:
    """Return all findings. Only those that do not follow from another one are looked for."""
    try:
        settings = lifespan_settings()
    except ImproperlyConfigured as error:
        return [_wrong_setting(error)]
    findings = [*_check_modules(settings)]
    if not findings:
        findings += _check_declarations(settings)
        if registered():
            findings += [*_check_application()] or [*check_connections(settings)]
            findings += _check_runserver(settings)
        elif settings.request_threads is not None:
            findings += check_connections(settings)
        findings += _check_delay(settings)
    return findings


def _check_modules(settings: LifespanSettings) -> Iterator[CheckMessage]:
    """Import each ``lifespan`` module, so that each that cannot be imported is found."""
    labels = settings.autodiscover
    if isinstance(labels, bool):
        labels = tuple(config.label for config in apps.get_app_configs() if labels)
    for label in labels:
        try:
            import_modules([label])
        except SettingError as error:
            yield _wrong_setting(error)
        except ResourceDeclarationError as error:
            yield _serious(
                "W001",
                str(error),
                "Until it can be imported, no lifespan starts. To see the traceback: python "
                f'manage.py shell -c "import {apps.get_app_config(label).name}.lifespan"',
            )


def _check_declarations(settings: LifespanSettings) -> Iterator[CheckMessage]:
    try:
        resources = declared()
    except SettingError as error:
        yield _wrong_setting(error)
    except ResourceDeclarationError as error:
        yield _serious("W002", str(error), "Until this is changed, no lifespan starts.")
    else:
        for resource in resources:
            yield from _check_limits(settings, resource)


def _check_limits(settings: LifespanSettings, resource: Resource[object]) -> Iterator[CheckMessage]:
    for phase in ("startup", "shutdown"):
        own = cast("float | None", getattr(resource, f"{phase}_timeout"))
        whole = cast("float | None", getattr(settings, f"{phase}_timeout"))
        if own is not None and whole is not None and own > whole:
            setting = f"{phase.upper()}_TIMEOUT"
            yield checks.Warning(
                f"{resource.name} ({resource.origin}) may take {own:g} s for its {phase}, and the "
                f"whole {phase} may take {whole:g} s. It would be cancelled earlier than it says.",
                hint=f"Lower {phase}_timeout of {resource.name}, or raise "
                f"ASGI_LIFESPAN['{setting}'].",
                id=f"{APP}.W006",
            )


def _check_delay(settings: LifespanSettings) -> Iterator[CheckMessage]:
    delay, shutdown = settings.drain_delay, settings.shutdown_timeout or 0.0
    if delay and delay + shutdown >= KILL_LIMIT:
        yield checks.Warning(
            f"ASGI_LIFESPAN['DRAIN_DELAY'] is {delay:g} s, and the shutdown may take {shutdown:g} "
            f"s. Requests in flight have no time left of the {KILL_LIMIT} s after which Kubernetes "
            f"and gunicorn kill by default.",
            hint="Lower DRAIN_DELAY or SHUTDOWN_TIMEOUT. If you have raised those limits, add "
            f"{APP}.W009 to SILENCED_SYSTEM_CHECKS.",
            id=f"{APP}.W009",
        )


def _check_application() -> Iterator[CheckMessage]:
    """Import the ASGI application of the project, and look for one of ours in it."""
    name: str = getattr(django_settings, "ASGI_APPLICATION", None) or ""
    try:
        if name:
            import_string(name)
        elif name := _asgi_module():
            import_module(name)
    except AdapterError as error:
        yield checks.Error(str(error), hint="No server starts until then.", id=f"{APP}.E002")
    except Exception as error:
        yield _serious(
            "W003",
            f"The ASGI application {name} cannot be imported: {describe(error)}.",
            "No server starts until then. If it has another place, let ASGI_APPLICATION name it.",
        )
    else:
        if not lifespans.gates:
            reason = (
                f"{name} makes no application with a lifespan" if name else "No asgi.py was found"
            )
            yield _serious(
                "W004",
                f"{reason}, so nothing would open this: {registered()}.",
                "In asgi.py, import get_asgi_application from django_asgi_lifespan.asgi, or put "
                "LifespanApplication around the outermost application. If asgi.py has another "
                "place, let ASGI_APPLICATION name it.",
            )


def _asgi_module() -> str:
    """Return the name of the module beside that of the URLs, if there is one."""
    urls: object = getattr(django_settings, "ROOT_URLCONF", None)
    package = urls.rpartition(".")[0] if isinstance(urls, str) else ""
    name = f"{package}.asgi".lstrip(".")
    return name if importlib.util.find_spec(name) is not None else ""


def _check_runserver(settings: LifespanSettings) -> Iterator[CheckMessage]:
    found = get_commands().get("runserver")
    if found == "daphne":
        has_adapter = importlib.util.find_spec("django_asgi_lifespan_daphne") is not None
        cause = "" if has_adapter and settings.adapters is not None else "daphne"
    else:
        is_djangos = found in ("django.core", "django.contrib.staticfiles")
        cause = "runserver" if is_djangos else ""
    if cause:
        yield checks.Warning(
            f"manage.py runserver is the command of {found}, and starts no lifespan.",
            hint=CAUSES[cause],
            id=f"{APP}.W005",
        )


def _wrong_setting(error: ImproperlyConfigured) -> CheckMessage:
    return checks.Error(
        str(error), hint="All keys of ASGI_LIFESPAN are optional.", id=f"{APP}.E001"
    )


def _serious(number: str, message: str, hint: str) -> CheckMessage:
    """Return a warning, or an error where the checks are asked for on purpose.

    So the other commands, ``migrate`` for example, run although a ``lifespan.py`` is broken.
    """
    call = variables_on_stack(checks.run_checks) or {}
    is_asked_for = call.get("tags") or call.get("include_deployment_checks")
    kind = checks.Error if is_asked_for else checks.Warning
    return kind(message, hint=hint, id=f"{APP}.{number}")
