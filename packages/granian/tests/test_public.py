"""What the package offers."""

from __future__ import annotations

import importlib.metadata

import django_asgi_lifespan_granian

DISTRIBUTION = "django-asgi-lifespan-granian"


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan_granian.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_the_core_has_the_same_version() -> None:
    """All packages are released together."""
    requires = importlib.metadata.requires(DISTRIBUTION) or []
    assert f"django-asgi-lifespan=={django_asgi_lifespan_granian.__version__}" in requires
