"""What the package offers, and where its hooks act."""

from __future__ import annotations

import asyncio
import importlib.metadata
from typing import Any

from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.config import Config

import django_asgi_lifespan_hypercorn
from django_asgi_lifespan_hypercorn import hooks
from django_asgi_lifespan_hypercorn.command import main
from django_asgi_lifespan_hypercorn.worker import OrderlyStop

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


async def a_lifespan(config: Config) -> Any:
    """Return the lifespan of hypercorn with such a configuration."""
    application: Any = None
    return Lifespan(application, config, asyncio.get_running_loop(), {})


def test_hooks_act_under_hypercorns_commands_alone() -> None:
    """A program that calls ``serve()`` keeps its OS signals, as any other server does."""

    async def ask() -> None:
        own, others = Config(), Config()
        own.application_path = "project.asgi:application"
        assert isinstance(hooks.lifespan((await a_lifespan(own)).asgi_receive), OrderlyStop)
        assert hooks.lifespan((await a_lifespan(others)).asgi_receive) is None
        assert hooks.lifespan(asyncio.Queue[Any]().get) is None

    asyncio.run(ask())


def test_nothing_is_done_when_an_application_is_made() -> None:
    """The parent of the workers may be where that happens."""
    hooks.application_made(object())
