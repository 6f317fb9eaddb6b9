"""The import of the ``lifespan`` modules of Django apps, and of those of other people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from django_asgi_lifespan import ResourceDeclarationError
from django_asgi_lifespan.resources import discover, registry

OURS = "from django_asgi_lifespan import resource\n@resource\nasync def {0}():\n    yield '{0}'\n"
APPS = {
    "found_shop": OURS.format("client"),
    "found_weather": OURS.format("forecast"),
    "found_vendor": "from fastapi_that_is_not_installed import FastAPI\n",
    "found_empty": None,
}


@pytest.fixture(autouse=True)
def _apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Packages of Django apps, each with the text of its ``lifespan`` module, if it has one."""
    for name, text in APPS.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        if text is not None:
            (folder / "lifespan.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.startswith("found_")]:
        del sys.modules[name]


def find(settings: Any, *apps: str, **lifespan: Any) -> list[str]:
    """Return the names of the resources that are declared by the discovery."""
    settings.ASGI_LIFESPAN = lifespan
    with SimpleTestCase().settings(INSTALLED_APPS=apps):
        discover()
        return registry.names()


def fail(settings: Any, *apps: str, **lifespan: Any) -> str:
    """Return the error of the discovery."""
    with pytest.raises(ResourceDeclarationError) as error:
        find(settings, *apps, **lifespan)
    assert isinstance(error.value, ImproperlyConfigured)
    return str(error.value)


def test_every_installed_django_app_is_asked(settings: Any) -> None:
    """One that has no such module is left out."""
    names = find(settings, "found_shop", "found_empty", "found_weather")
    assert names == ["client", "forecast"]


def test_nothing_is_imported_if_the_settings_forbid_it(settings: Any) -> None:
    """Not even a module that fails."""
    assert not find(settings, "found_vendor", "found_shop", AUTODISCOVER=False)


@pytest.mark.parametrize("kind", [list, tuple])
def test_only_listed_django_apps_are_asked(settings: Any, kind: type) -> None:
    """So that one can be left out."""
    apps = ("found_vendor", "found_shop", "found_weather", "found_empty")
    labels = kind(["found_empty", "found_weather"])
    assert find(settings, *apps, AUTODISCOVER=labels) == ["forecast"]


def test_an_unknown_label_is_an_error(settings: Any) -> None:
    """It names the likely one, and those that are installed."""
    message = fail(settings, "found_shop", "found_weather", AUTODISCOVER=["found_shp"])
    assert message == (
        "ASGI_LIFESPAN['AUTODISCOVER'] names 'found_shp', and no installed Django app has this "
        "label. Did you mean 'found_shop'? Installed are: found_shop, found_weather. "
        "[lifespan-unknown-app]"
    )


@pytest.mark.parametrize("text", ["import nothing_at_all", "1 / 0", "None.x", "def"])
def test_a_module_that_cannot_be_imported_names_the_setting(
    settings: Any, tmp_path: Path, text: str
) -> None:
    """With the value that leaves it out, and the reason. It may be somebody else's."""
    (tmp_path / "found_vendor" / "lifespan.py").write_text(text)
    message = fail(settings, "found_shop", "found_vendor", "found_empty", "found_weather")
    assert message.startswith("found_vendor.lifespan cannot be imported: ")
    assert "Error: " in message
    setting = "ASGI_LIFESPAN = {'AUTODISCOVER': ['found_shop', 'found_weather']}."
    assert message.endswith(f"{setting} [lifespan-import]")


def test_the_error_of_the_module_is_the_cause(settings: Any) -> None:
    """Its traceback leads to the line."""
    with pytest.raises(ResourceDeclarationError) as error:
        find(settings, "found_vendor")
    assert isinstance(error.value.__cause__, ModuleNotFoundError)
    assert "fastapi_that_is_not_installed" in str(error.value)


@pytest.mark.parametrize("text", ["import nothing_at_all", "1 / 0", "def"])
def test_the_error_knows_the_file_to_watch(settings: Any, tmp_path: Path, text: str) -> None:
    """Django's autoreloader would watch the file that raised, which is one of ours."""
    file = tmp_path / "found_vendor" / "lifespan.py"
    file.write_text(text)
    with pytest.raises(ResourceDeclarationError) as error:
        find(settings, "found_vendor")
    assert error.value.filename == str(file)


def test_an_error_of_ours_says_enough(settings: Any, tmp_path: Path) -> None:
    """The module is about resources then."""
    text = OURS.format("client").replace("@resource", "@resource(name='two words')")
    (tmp_path / "found_vendor" / "lifespan.py").write_text(text)
    message = fail(settings, "found_vendor")
    assert "'two words'" in message
    assert "AUTODISCOVER" not in message
