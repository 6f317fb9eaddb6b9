"""The public names of the package, and the address of each."""

from __future__ import annotations

import importlib.metadata
import pkgutil
import subprocess
import sys
import types
from importlib import import_module
from typing import Any

import pytest

import django_asgi_lifespan
from django_asgi_lifespan import adapters

MODULES = [
    module.name
    for module in pkgutil.walk_packages(django_asgi_lifespan.__path__, "django_asgi_lifespan.")
]
OFFERING = [django_asgi_lifespan, adapters]

OFFERED = {
    "django_asgi_lifespan": (
        "AdapterError",
        "LifespanASGIRequest",
        "LifespanError",
        "LifespanFailedError",
        "LifespanProtocolError",
        "LifespanUnsupportedError",
        "ReceiverError",
        "Resource",
        "ResourceDeclarationError",
        "ResourceUnavailableError",
        "ShutdownFailedError",
        "StartupFailedError",
        "asgi_lifespan",
        "asgi_shutdown",
        "asgi_startup",
        "asgi_stopping",
        "get_state",
        "lifespan_status",
        "mounted_application",
        "resource",
        "run_lifespan",
        "run_lifespan_sync",
        "stopping",
    ),
    "django_asgi_lifespan.adapters": (
        "DEFAULT_LIMIT",
        "DRAIN_SHARE",
        "GRACE",
        "KILL_LIMIT",
        "POLL",
        "QUICK_LIMIT",
        "RELOAD_LIMIT",
        "SAME_STOP",
        "SERVICE_RESTART",
        "SHUTDOWN_FAILURE",
        "STARTUP_FAILURE",
        "AdaptedLifespan",
        "Adapter",
        "Application",
        "Call",
        "Deadlines",
        "LifespanDriver",
        "Message",
        "Receive",
        "Scope",
        "Send",
        "Server",
        "Stop",
        "call_handlers_in_thread",
        "calls",
        "exit_despite_threads",
        "get_asgi_application",
        "handle_os_signals",
        "has_heard",
        "hold",
        "ignore_os_signals_at_exit",
        "in_main_thread",
        "is_held",
        "lifespan_settings",
        "log",
        "log_failure",
        "note_spawned",
        "run_with_reloader",
        "speak_lifespan",
        "stop_in_thread",
        "stop_signals",
        "take_handlers_back",
        "variables_on_stack",
        "watch_supervisor",
    ),
}
"""The names in the ``__all__`` of the two packages that projects and adapters import from."""

ELSEWHERE = {
    "django_asgi_lifespan": ("__version__",),
    "django_asgi_lifespan.asgi": ("LifespanApplication", "get_asgi_application"),
    "django_asgi_lifespan.driver": ("LifespanDriver",),
    "django_asgi_lifespan.handler": ("LifespanASGIHandler", "LifespanASGIRequest"),
    "django_asgi_lifespan.resources": ("Resource", "discover", "registry", "resource"),
    "django_asgi_lifespan.signals": (
        "asgi_lifespan",
        "asgi_shutdown",
        "asgi_startup",
        "asgi_stopping",
    ),
    "django_asgi_lifespan.state": (
        "announce_stopping",
        "close_websockets",
        "get_state",
        "stopping",
    ),
    "django_asgi_lifespan.testing": ("LifespanAwareAsyncClient", "LifespanAwareClient"),
}
"""The other names that the documentation has people import, or that adapters of 1.0 import."""

OF_0_5 = (
    "asgi.get_asgi_application",
    "asgi.django",
    "compat.CompatAsyncSignal",
    "dispatcher.LifespanEventDispatcher",
    "errors.BaseLifespanHandlerError",
    "errors.MissingScopeStateError",
    "events.LifespanSender",
    "events.send_lifespan_signal_collecting_contexts",
    "events.send_lifespan_signal_compat",
    "handler.LifespanASGIHandler",
    "middleware.AsyncMiddleware",
    "middleware.LifespanStateMiddleware",
    "register.LifespanContextManagerSignalWrapper",
    "register.register_lifespan_manager",
    "signals.asgi_lifespan",
    "signals.asgi_shutdown",
    "signals.asgi_startup",
    "testing.LifespanAwareAsyncClient",
    "types.LifespanManager",
    "types.State",
)
"""The names that projects written for 0.5 import, below ``django_asgi_lifespan``."""


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (address, name)
        for names_by_address in (OFFERED, ELSEWHERE)
        for address, names in names_by_address.items()
        for name in names
    ],
)
def test_a_name_is_where_users_import_it(address: str, name: str) -> None:
    """Its module may move. Its address stays."""
    namespace: dict[str, Any] = {}
    exec(f"from {address} import {name}", namespace)
    assert name in namespace


@pytest.mark.parametrize("name", OF_0_5)
def test_a_name_of_0_5_is_where_it_was(name: str) -> None:
    """Every module of 0.5 has its public names."""
    module, attribute = name.split(".")
    assert hasattr(import_module(f"django_asgi_lifespan.{module}"), attribute)


@pytest.mark.parametrize("package", OFFERING)
def test_the_list_of_names_is_complete(package: Any) -> None:
    """A name that the package offers is added to the list, and stays."""
    assert OFFERED[package.__name__] == package.__all__


@pytest.mark.parametrize("package", OFFERING)
def test_the_package_offers_what_it_says(package: Any) -> None:
    """Every public name of the package is in ``__all__``, and the other way round."""
    public = {
        name
        for name in dir(package)
        if not name.startswith("_")
        and name not in ("annotations", "importlib", "AbstractContextManager", "TYPE_CHECKING")
        and name != "Any"
        and not isinstance(getattr(package, name), types.ModuleType)
    }
    assert public == set(package.__all__)


@pytest.mark.parametrize("package", OFFERING)
def test_the_package_offers_nothing_else(package: Any) -> None:
    """Although it loads a part of its names when they are asked for."""
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'resorce'"):
        _ = package.resorce


def test_what_is_not_used_is_not_loaded() -> None:
    """Neither to declare a resource nor to make the application. Time and memory are limited.

    The import alone may load at most eleven modules, three more than that of 1.0.
    """
    script = f"""if True:
        import sys
        from django.conf import settings
        settings.configure()
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import get_asgi_application
        @resource
        async def a():
            yield
        def loaded():
            return sorted(sys.modules.keys() & set({MODULES}))
        print(*loaded())
        get_asgi_application()
        print(*loaded())
    """
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    imported, made = (line.split() for line in done.stdout.decode().splitlines())
    assert imported == [
        f"django_asgi_lifespan.{name}"
        for name in (
            "asgi",
            "begun",
            "declaration",
            "errors",
            "gate",
            "handler",
            "lifespans",
            "registry",
            "resources",
        )
    ]
    assert {*made} - {*imported} == {
        "django_asgi_lifespan.adapters",
        "django_asgi_lifespan.adapters.discovery",
        "django_asgi_lifespan.autodiscovery",
        "django_asgi_lifespan.conf",
    }


@pytest.mark.parametrize("name", MODULES)
def test_a_module_offers_what_it_says(name: str) -> None:
    """Each name in its ``__all__`` exists."""
    module = import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan.__version__ == importlib.metadata.version("django-asgi-lifespan")
