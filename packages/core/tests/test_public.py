"""The public names of the package."""

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
    """Neither to declare a resource nor to make the application. Time and memory are limited."""
    script = f"""if True:
        import sys
        from django.conf import settings
        settings.configure()
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import get_asgi_application
        @resource
        async def a():
            yield
        get_asgi_application()
        print(*sorted(sys.modules.keys() & set({MODULES})))
    """
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().split() == [
        f"django_asgi_lifespan.{name}"
        for name in (
            "adapters",
            "adapters.discovery",
            "asgi",
            "conf",
            "errors",
            "gate",
            "handler",
            "lifespans",
            "resources",
            "state",
        )
    ]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_offers_what_it_says(name: str) -> None:
    """Each name in its ``__all__`` exists."""
    module = import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan.__version__ == importlib.metadata.version("django-asgi-lifespan")
