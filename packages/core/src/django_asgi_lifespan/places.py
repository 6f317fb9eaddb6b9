"""The kind of program that runs this code, and the way to a lifespan that fits it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

__all__ = ("REMEDIES", "place_of", "remedy", "remedy_in_test")

REMEDIES = {
    "test": (
        "In a test, run one around it: by the fixture 'lifespan' of the pytest plugin, or by "
        "LifespanTestCase of django_asgi_lifespan.testing. Or let a value stand in for the "
        "resource: 'with name.override(value):'."
    ),
    "shell": (
        "In a shell, start one: 'block = run_lifespan_sync()' and 'running = block.__enter__()'. "
        "Then run coroutines by 'running.run(...)'. In a notebook or an asynchronous shell: "
        "'async with run_lifespan():'."
    ),
    "command": (
        "In a management command, run one around the code of handle(): 'with run_lifespan_sync() "
        "as running:'. It runs coroutines by 'running.run(...)'."
    ),
    "task worker": (
        "In a worker of a task queue, run one in the process that works, around the code of the "
        "task: 'with run_lifespan_sync() as running:'. To keep it from task to task, enter it when "
        "that process starts, and leave it when the process ends."
    ),
    "runworker": (
        "The command runworker of Channels runs no lifespan. Run one around the code of the "
        "consumer: 'async with run_lifespan():'."
    ),
}
"""The way to a lifespan, by the kind of program."""

_TASK_QUEUES = (
    *("celery", "dramatiq", "huey_consumer", "rq", "rqworker", "arq", "taskiq", "procrastinate"),
    *("faststream", "saq"),
)
_SHELLS = ("ipython", "ipython3", "ipykernel_launcher", "bpython", "ptpython")
_COMMANDS = {
    "runserver": "unknown",
    "test": "test",
    "shell": "shell",
    "shell_plus": "shell",
    "runworker": "runworker",
    **dict.fromkeys(
        (
            *("db_worker", "qcluster", "run_huey", "djangohuey", "rqworker", "rundramatiq"),
            *("celery", "procrastinate", "process_tasks", "run_arq_worker"),
        ),
        "task worker",
    ),
}
"""The kinds of the management commands that people run for more than their own code."""


def remedy() -> str:
    """Return the way to a lifespan in this program, or an empty string where it may be a server."""
    place = place_of(sys.argv, sys.modules, is_interactive=hasattr(sys, "ps1"))
    return REMEDIES.get(place, "")


def remedy_in_test() -> str:
    """Return the way to a lifespan after a space, or an empty string where this is no test."""
    is_test = place_of(sys.argv, sys.modules) == "test"
    return f" {REMEDIES['test']}" if is_test else ""


def place_of(
    arguments: Sequence[str], modules: Mapping[str, Any], *, is_interactive: bool = False
) -> str:
    """Return the kind of a program: a key of ``REMEDIES``, or "unknown".

    Args:
        arguments: its command line.
        modules: those that it has loaded.
        is_interactive: whether Python shows a prompt.
    """
    path = PurePath(arguments[0] if arguments else "")
    program = path.parent.name if path.stem == "__main__" else path.stem
    # Django's test runner makes an outbox.
    if "_pytest" in modules or hasattr(modules.get("django.core.mail"), "outbox"):
        return "test"
    if program in ("manage", "django-admin", "django"):
        command = next((each for each in arguments[1:] if not each.startswith("-")), "")
        return _COMMANDS.get(command, "command")
    if program in _TASK_QUEUES:
        return "task worker"
    return "shell" if is_interactive or program in _SHELLS else "unknown"
