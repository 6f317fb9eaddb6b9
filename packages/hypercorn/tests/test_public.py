"""The package offers a version and a command."""

from __future__ import annotations

import importlib.metadata

import django_asgi_lifespan_hypercorn
from django_asgi_lifespan_hypercorn.command import main

DISTRIBUTION = "django-asgi-lifespan-hypercorn"


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan_hypercorn.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_the_core_has_the_same_version() -> None:
    """All packages are released together."""
    requires = importlib.metadata.requires(DISTRIBUTION) or []
    assert f"django-asgi-lifespan=={django_asgi_lifespan_hypercorn.__version__}" in requires


def test_there_is_a_console_script() -> None:
    """It is the command."""
    [script] = importlib.metadata.entry_points(group="console_scripts", name="hypercorn-lifespan")
    assert script.load() is main
