"""What is there for 0.5 costs nothing when unused, and says that it is deprecated."""

from __future__ import annotations

import inspect
import re
from importlib import resources
from pathlib import Path

import pytest

import django_asgi_lifespan
from contract.helpers import python
from django_asgi_lifespan import compat, dispatcher, errors, events, register

LEGACY = (
    "compat",
    "dispatcher",
    "events",
    "legacy",
    "managers",
    "middleware",
    "register",
    "testing",
    "types",
)

LIFESPAN = """
from django.conf import settings
settings.configure()
import asyncio, django_asgi_lifespan
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver
async def live():
    @django_asgi_lifespan.resource
    async def values():
        yield 1
    django_asgi_lifespan.asgi_startup.connect(lambda: None)
    async with LifespanDriver(get_asgi_application()):
        pass
asyncio.run(live())
"""


def test_the_package_tells_its_version_and_that_it_is_typed() -> None:
    """As ``__version__``, and by the marker file of PEP 561."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", django_asgi_lifespan.__version__)
    assert resources.files(django_asgi_lifespan).joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    "statements",
    [
        "from django_asgi_lifespan import resource",
        "from django_asgi_lifespan import asgi",
        LIFESPAN,
    ],
)
def test_what_is_there_for_0_5_costs_nothing_when_unused(statements: str, tmp_path: Path) -> None:
    """None of its modules is loaded by the package, by ``asgi.py`` or by a whole lifespan."""
    script = statements + (
        "\nimport sys\nprint(*(n for n in sys.modules if n.startswith('django_asgi_lifespan.')))"
    )
    [line] = python(script, tmp_path)
    loaded = line.split()
    assert "django_asgi_lifespan.declaration" in loaded
    assert not {f"django_asgi_lifespan.{name}" for name in LEGACY} & set(loaded)


@pytest.mark.parametrize(
    "documented",
    [
        compat,
        compat.CompatAsyncSignal,
        dispatcher,
        dispatcher.LifespanEventDispatcher,
        errors.MissingScopeStateError,
        events,
        events.send_lifespan_signal_collecting_contexts,
        events.send_lifespan_signal_compat,
        register.LifespanContextManagerSignalWrapper,
    ],
)
def test_what_is_legacy_is_marked_deprecated_in_its_docstring(documented: object) -> None:
    """Editors show it where the name is used."""
    assert "deprecated" in (inspect.getdoc(documented) or "").lower()
