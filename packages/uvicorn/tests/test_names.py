"""Names that this package shares with uvicorn."""

from __future__ import annotations

import inspect
import logging

import uvicorn
from uvicorn.main import main as uvicorn_command


def test_each_option_of_the_command_configures_uvicorn() -> None:
    """But for two, which the command handles itself: the version and the folder of the modules."""
    options = {parameter.name for parameter in uvicorn_command.params}
    arguments = set(inspect.signature(uvicorn.Config).parameters)
    assert options - arguments == {"version", "app_dir"}


def test_the_logger_is_that_of_uvicorn() -> None:
    """Under its log configuration no other would be seen."""
    assert "uvicorn.error" in logging.root.manager.loggerDict
