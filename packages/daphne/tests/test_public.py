"""What the package offers."""

from __future__ import annotations

import importlib.metadata

import daphne.cli
import pytest

import django_asgi_lifespan_daphne
from django_asgi_lifespan_daphne.__main__ import main
from django_asgi_lifespan_daphne.command import CommandLineInterface

DISTRIBUTION = "django-asgi-lifespan-daphne"


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan_daphne.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_the_core_has_the_same_version() -> None:
    """All packages are released together."""
    requires = importlib.metadata.requires(DISTRIBUTION) or []
    assert f"django-asgi-lifespan=={django_asgi_lifespan_daphne.__version__}" in requires


def test_there_is_a_console_script() -> None:
    """It is the command."""
    [script] = importlib.metadata.entry_points(group="console_scripts", name="daphne-lifespan")
    assert script.load() is main


def test_the_command_has_the_options_of_daphne() -> None:
    """All of them, and no other, with the same defaults."""
    arguments = ["mysite.asgi:application"]
    ours = CommandLineInterface().parser.parse_args(arguments)
    assert ours == daphne.cli.CommandLineInterface().parser.parse_args(arguments)


def test_the_help_says_what_is_different(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And the name of the command."""
    with pytest.raises(SystemExit):
        CommandLineInterface().run(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: daphne-lifespan ")
    assert "lets requests in flight end" in text
