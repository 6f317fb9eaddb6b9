"""Messages of ``manage.py lifespan``, and of its twin for running code."""

from __future__ import annotations

import io

from django.core.management import call_command

from django_asgi_lifespan import lifespan_status
from django_asgi_lifespan.management.commands.lifespan import Command
from messages.table import COURSE, declare, says

COMMAND = "manage.py lifespan"


def printed(*options: str) -> str:
    """Return the output of the command."""
    output = io.StringIO()
    call_command("lifespan", *options, stdout=output)
    return output.getvalue()


@says(
    COMMAND,
    "…Shows the resources of the project, or opens and closes them once. …Draw a diagram for "
    "Mermaid. …Open and close everything once, and show when. The exit code is 0, or 3 if anything "
    "failed. …With --run, open this resource and those that it requires. May be repeated. …",
    COURSE,
)
def _the_help() -> str:
    return " ".join(Command().create_parser("manage.py", "lifespan").format_help().split())


@says(COMMAND, "No resources are declared.\n", COURSE)
def _a_project_without_resources() -> str:
    return printed()


@says(
    COMMAND,
    "first  (…)\n└── one  (…)\n    └── pool  (…)\nsecond  (…)\n└── one  (…)  (see above)\n",
    COURSE,
)
def _a_tree() -> str:
    pool = declare()
    one = declare("one", requires=[pool])
    declare("first", requires=[one])
    declare("second", requires=[one])
    return printed()


@says(COMMAND, 'graph TD\n    r0["pool"]\n    r1["one"]\n    r1 --> r0\n', COURSE)
def _a_diagram() -> str:
    declare("one", requires=[declare()])
    return printed("--mermaid")


@says(COMMAND, "--only needs --run.", "needs --run")
def _a_part_without_a_run() -> str:
    return printed("--only", "pool")


@says(
    "lifespan_status()",
    "The status of the lifespan is not available: no lifespan ran in this process. …",
    COURSE,
)
def _a_status_without_a_lifespan() -> None:
    lifespan_status()
