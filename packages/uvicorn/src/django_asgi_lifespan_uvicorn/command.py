"""The twin of uvicorn's command: all of its options, and what only a parent process can mend."""

from __future__ import annotations

import copy
import sys
from typing import Any

import click
from uvicorn.config import LOGGING_CONFIG
from uvicorn.main import main as uvicorn_command

from .server import Config, run

__all__ = ("main",)

TIMEOUT = 10
"""Seconds that requests have to end; with the 20 that the lifespan's shutdown has, the 30 after
which Kubernetes kills, by default."""

TIMEOUT_RELOAD = 1
"""The same, while developing."""


def _parameters() -> list[click.Parameter]:
    """Return uvicorn's parameters, two of them with other defaults."""
    changed = {
        "timeout_graceful_shutdown": {
            "help": f"Maximum number of seconds to wait for requests in flight at a stop.  "
            f"[default: {TIMEOUT}; with --reload {TIMEOUT_RELOAD}]"
        },
        "lifespan": {"default": "on"},
    }
    parameters: list[click.Parameter] = []
    for parameter in uvicorn_command.params:
        twin = copy.copy(parameter)
        vars(twin).update(changed.get(twin.name or "", {}))
        parameters.append(twin)
    return parameters


@click.command(
    name="uvicorn-lifespan",
    params=_parameters(),
    context_settings=uvicorn_command.context_settings,
    help="Run uvicorn with an orderly start and stop of the lifespan. The options are uvicorn's.",
)
def main(*, app_dir: str, headers: list[str], log_config: str | None, **options: Any) -> None:
    """Run uvicorn with its own options; see the README for what is different."""
    sys.path.insert(0, app_dir)
    if options["timeout_graceful_shutdown"] is None:
        options["timeout_graceful_shutdown"] = TIMEOUT_RELOAD if options["reload"] else TIMEOUT
    run(
        Config(
            **options,
            headers=[_pair(header) for header in headers],
            log_config=LOGGING_CONFIG if log_config is None else log_config,
        )
    )


def _pair(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon:
        raise click.BadParameter(f"{header!r} is not Name:Value.", param_hint="--header")
    return name, value
