"""The two environments that are compared, made with uv when first needed."""

import os
import subprocess
import sys
from typing import NamedTuple

from tools import pins, test_versions

__all__ = ("PYTHON", "SIDES", "Environment", "Side", "prepare")

PYTHON = "3.13"


class Side(NamedTuple):
    """One side of the comparison, and the packages that uv installs for it."""

    name: str
    requirement: tuple[str, ...]


SIDES = (
    Side("this", ("--editable", "packages/core")),
    Side("previous", ("django-asgi-lifespan==0.5.4",)),
)


class Environment(NamedTuple):
    """A side, and the interpreter that has it installed."""

    side: str
    executable: str

    def run(self, *arguments: str) -> str:
        """Return the output of Python, run with *arguments* from the root of the project.

        Bytecode is written and used, as where a project is deployed.
        """
        environment = {key: os.environ[key] for key in os.environ if not key.startswith("PYTHON")}
        done = subprocess.run(
            [self.executable, *arguments],
            cwd=test_versions.ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{self.side}: python {' '.join(arguments)} ended with {done.returncode}")
        return done.stdout


def prepare() -> list[Environment]:
    """Return the environments of both sides, with the same Django and the same Python."""
    interpreter = test_versions.find_interpreters().get(PYTHON)
    if interpreter is None:
        sys.exit(f"There is no Python {PYTHON} here.")
    folder = test_versions.ENVIRONMENTS
    folder.mkdir(exist_ok=True)
    constraints = folder / "benchmark-constraints.txt"
    constraints.write_text("\n".join(pins.read_pins()))
    environments: list[Environment] = []
    for side in SIDES:
        executable = folder / f"benchmark-{side.name}" / "bin" / "python"
        if not executable.exists():
            place = str(executable.parents[1])
            test_versions.run(pins.find_uv(), "venv", "--clear", "--python", interpreter, place)
        install = [pins.find_uv(), "pip", "install", "--no-config", "--python", str(executable)]
        install += ["--constraints", str(constraints), *side.requirement]
        test_versions.run(*install)
        environments.append(Environment(side.name, str(executable)))
    return environments
