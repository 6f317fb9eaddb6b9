"""What the package offers."""

from __future__ import annotations

import importlib.metadata

import pytest
from click.testing import CliRunner
from uvicorn.main import main as uvicorn_command

import django_asgi_lifespan_uvicorn
from django_asgi_lifespan_uvicorn import __main__ as program
from django_asgi_lifespan_uvicorn.command import main

DISTRIBUTION = "django-asgi-lifespan-uvicorn"


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan_uvicorn.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_the_core_has_the_same_version() -> None:
    """All packages are released together."""
    requires = importlib.metadata.requires(DISTRIBUTION) or []
    assert f"django-asgi-lifespan=={django_asgi_lifespan_uvicorn.__version__}" in requires


def test_there_is_a_console_script() -> None:
    """It handles OS signals before it imports the command."""
    [script] = importlib.metadata.entry_points(group="console_scripts", name="uvicorn-lifespan")
    assert script.load() is program.main


def test_the_command_has_the_options_of_uvicorn() -> None:
    """All of them, and no other; those of uvicorn stay as they are."""
    assert [each.opts for each in main.params] == [each.opts for each in uvicorn_command.params]
    [lifespan] = [each for each in uvicorn_command.params if each.name == "lifespan"]
    assert lifespan.default == "auto"


@pytest.mark.parametrize("command", [main, uvicorn_command], ids=["twin", "uvicorn"])
def test_the_version_of_uvicorn_is_shown(command: object) -> None:
    """By the option that shows it in uvicorn."""
    result = CliRunner().invoke(command, ["--version"])  # type: ignore[arg-type]
    assert result.output.startswith("Running uvicorn ")


def test_the_help_says_how_long_requests_have() -> None:
    """Where the default is another than uvicorn's."""
    help_text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert "requests in flight at a stop. [default: 10; with --reload 1]" in help_text
    assert "Lifespan implementation. [default: on]" in help_text


def test_a_header_without_a_value_is_an_error_of_usage() -> None:
    """With the option that is wrong, before anything is started."""
    result = CliRunner().invoke(main, ["--header", "nothing", "module:application"])
    assert result.exit_code == 2
    assert "Invalid value for --header: 'nothing' is not Name:Value." in result.output
