"""The import of the ``lifespan`` modules of the installed Django apps."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import cast

from django.apps import AppConfig, apps
from django.core.exceptions import AppRegistryNotReady
from django.utils.module_loading import module_has_submodule

from .errors import ResourceDeclarationError, SettingError, describe, did_you_mean, shorten

__all__ = ("discovery_remedy", "import_modules")


def import_modules(labels: Iterable[str] | None) -> None:
    """Import the ``lifespan`` modules of the Django apps with these *labels*, or of all.

    Raises:
        ResourceDeclarationError: a module cannot be imported.
        SettingError: there is no such Django app.
        AppRegistryNotReady: Django is not set up.
    """
    if not apps.apps_ready:
        raise AppRegistryNotReady(
            "Django is not set up, so its apps cannot be asked for their resources. In a script, "
            "call django.setup() first. In asgi.py, call "
            "django_asgi_lifespan.asgi.get_asgi_application(), which does it. [lifespan-no-setup]"
        )
    configs = apps.get_app_configs() if labels is None else [*map(_find, labels)]
    for config in configs:
        try:
            import_module(f"{config.name}.lifespan")
        except ResourceDeclarationError:
            raise
        except Exception as error:
            if _has_lifespan(config):
                failure = ResourceDeclarationError(_explain(config, error))
                [*_, last] = traceback.extract_tb(error.__traceback__)
                failure.filename = getattr(error, "filename", None) or last.filename
                raise failure from error


def _find(label: str) -> AppConfig:
    try:
        return apps.get_app_config(label)
    except LookupError:
        labels = sorted(config.label for config in apps.get_app_configs())
        raise SettingError(
            f"ASGI_LIFESPAN['AUTODISCOVER'] names {label!r}, and no installed Django app has this "
            f"label. {did_you_mean(label, labels)}Installed are: {', '.join(shorten(labels))}. "
            f"[lifespan-unknown-app]"
        ) from None


def _has_lifespan(config: AppConfig) -> bool:
    return module_has_submodule(cast("ModuleType", config.module), "lifespan")


def _explain(failed: AppConfig, error: Exception) -> str:
    others = [
        config.label
        for config in apps.get_app_configs()
        if config is not failed and _has_lifespan(config)
    ]
    return (
        f"{failed.name}.lifespan cannot be imported: {describe(error)}. It is imported because "
        f"resources are looked for in the module 'lifespan' of every installed Django app. If this "
        f"one is about something else, name the Django apps that declare resources: "
        f"ASGI_LIFESPAN = {{'AUTODISCOVER': {others}}}. [lifespan-import]"
    )


def discovery_remedy(module: str) -> str:
    """Return how a resource that *module* declares can be there before the startup."""
    package, _, name = module.rpartition(".")
    installed = {config.name: config.label for config in apps.get_app_configs()}
    if name == "lifespan" and package in installed:
        return (
            f"ASGI_LIFESPAN['AUTODISCOVER'] leaves this module out. Add {installed[package]!r} to "
            f"its list, or import the module in the lifespan.py of an installed Django app."
        )
    if name == "lifespan" and not any(package.startswith(f"{each}.") for each in installed):
        return (
            f"Only the lifespan.py of an installed Django app is imported by itself: add "
            f"{package!r} to INSTALLED_APPS."
        )
    return "Import this module in the lifespan.py of an installed Django app."
