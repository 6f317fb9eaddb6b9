"""What the package offers."""

from __future__ import annotations

import importlib.metadata
import pkgutil
import types
from importlib import import_module

import pytest

import django_asgi_lifespan

MODULES = [
    f"django_asgi_lifespan.{module.name}"
    for module in pkgutil.iter_modules(django_asgi_lifespan.__path__)
]


def test_the_package_offers_what_it_says() -> None:
    """Every public name of the package is in ``__all__``, and the other way round."""
    public = {
        name
        for name, value in vars(django_asgi_lifespan).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public == set(django_asgi_lifespan.__all__)
    assert list(django_asgi_lifespan.__all__) == sorted(django_asgi_lifespan.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_offers_what_it_says(name: str) -> None:
    """What stands in its ``__all__`` exists."""
    module = import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan.__version__ == importlib.metadata.version("django-asgi-lifespan")
