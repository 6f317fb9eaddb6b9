"""The second half of an upgrade: names the pins that changed, and runs the tests they may break.

The seams come first: they tell at once, and by file and function, where a release has moved a
private part that an adapter relies on.
"""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

from tools import pins

SEAMS = ("pytest", "-q", "tests/test_seams.py")
SERVERS = {"daphne", "granian", "gunicorn", "hypercorn", "uvicorn"}
DEPENDENTS = (
    ("uvicorn", ("test", "packages/uvicorn", "packages/gunicorn")),
    ("uvicorn-worker", ("test", "packages/gunicorn")),
    ("gunicorn", ("test", "packages/gunicorn")),
    ("hypercorn", ("test", "packages/hypercorn")),
    ("granian", ("test", "packages/granian")),
    ("daphne", ("test", "packages/daphne")),
    ("twisted", ("test", "packages/daphne")),
    ("autobahn", ("test", "packages/daphne")),
    ("uvloop", ("test", *sorted(f"packages/{server}" for server in SERVERS))),
    ("asgiref", ("test-versions",)),
    ("django", ("test-versions",)),
    ("ruff", ("lint",)),
    ("*just", ("lint",)),
    ("mypy*", ("types",)),
    ("pyright", ("types",)),
    ("*stubs*", ("types",)),
    ("types-*", ("types",)),
    ("*", ("test", "packages/core", "examples", "docs", "-m", "not process")),
)
"""Patterns of names, the first that fits, with the recipe that a release may break."""


def changes(before: Iterable[str], after: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the versions before and after, by the name of each package that has others now."""
    old, new = _versions(before), _versions(after)
    return {
        name: (old.get(name, "none"), new.get(name, "none"))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }


def _versions(listed: Iterable[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for pin in listed:
        name, _, version = pin.partition(" ;")[0].partition("==")
        found.setdefault(name, []).append(version)
    return {name: " and ".join(dict.fromkeys(versions)) for name, versions in found.items()}


def recipes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the recipes that a release of these packages may break, each one once."""
    chosen = [
        next(recipe for pattern, recipe in DEPENDENTS if fnmatch(name, pattern)) for name in names
    ]
    return list(dict.fromkeys(chosen))


def check(before: Sequence[str]) -> None:
    """Print the changes, and run the recipes that they may break. Exits with the failures."""
    changed = changes(before, pins.read_pins())
    if not changed:
        print("There is no newer release.")
        return
    for name, (old, new) in changed.items():
        print(f"{name}: {old} -> {new}")
    if not _passes(*SEAMS):
        sys.exit("A seam has moved: the lists above name the file and the function.")
    failed = [recipe for recipe in recipes(changed) if not _passes("just", *recipe)]
    if failed:
        sys.exit("\n".join(f"Failed: just {' '.join(recipe)}" for recipe in failed))
    print("All that depends on these releases passes.")
    if SERVERS & {*changed}:
        print("Now name the previous releases in integration/versions.toml, and run the matrix.")


def _passes(*command: str) -> bool:
    """Run a command in the environment of the new pins, and return whether it succeeded."""
    print(f"\n{' '.join(command)}", flush=True)
    done = subprocess.run([pins.find_uv(), "run", *command], cwd=pins.PYPROJECT.parent, check=False)
    return done.returncode == 0
