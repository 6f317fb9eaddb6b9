"""The package works in ``INSTALLED_APPS`` and outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.helpers import python

PROJECT = """
import asyncio

from django.conf import settings

settings.configure(INSTALLED_APPS={apps}, SECRET_KEY="for tests only")
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver

async def main():
    application = get_asgi_application()
    async with LifespanDriver(application) as state:
        print(state)

asyncio.run(main())
"""


@pytest.mark.parametrize("apps", [["shop"], ["django_asgi_lifespan", "shop"]])
def test_lifespan_modules_are_discovered_with_and_without_the_django_app(
    apps: list[str], tmp_path: Path
) -> None:
    """The handler alone is enough. Both together declare once."""
    shop = tmp_path / "shop"
    shop.mkdir()
    shop.joinpath("__init__.py").touch()
    shop.joinpath("lifespan.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from django_asgi_lifespan.register import register_lifespan_manager\n"
        "@asynccontextmanager\n"
        "async def client():\n"
        "    print('open')\n"
        "    yield {'client': 1}\n"
        "    print('close')\n"
        "register_lifespan_manager(context_manager=client)\n"
    )
    lines = python(PROJECT.format(apps=apps), tmp_path)
    assert lines == ["open", "{'client': 1}", "close"]


def test_the_django_app_discovers_at_setup(tmp_path: Path) -> None:
    """Commands and the shell see the declared resources."""
    shop = tmp_path / "shop"
    shop.mkdir()
    shop.joinpath("__init__.py").touch()
    shop.joinpath("lifespan.py").write_text("print('imported')\n")
    script = (
        "import django\nfrom django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['django_asgi_lifespan', 'shop'])\ndjango.setup()\n"
    )
    assert python(script, tmp_path) == ["imported"]
