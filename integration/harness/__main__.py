"""The command of the matrix: runs it, or a part of it, and names the deviations."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence

from tools.test_versions import find_interpreters

from . import pages
from .environments import ROOT
from .matrix import Matrix
from .notes import read_notes
from .probes import read_probes
from .releases import find_releases
from .results import FOLDER, VERSIONS, folders, lacks, outdated, read_results, write_result
from .targets import read_targets

PYTHON = "3.13"
"""The Python of the committed results."""


def main() -> None:
    """Run the subcommand of the command line. Exit with 1 if it returns problems."""
    parser = argparse.ArgumentParser(prog="python -m integration.harness", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for function in (run, show, smoke, versions, check, render):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
        if function is run:
            command.add_argument("targets", nargs="*", default=["*"], help="names or patterns")
        if function is versions:
            command.add_argument("names", nargs="*", default=["*"], help="sets of versions.toml")
        if function in (run, versions):
            command.add_argument(
                "--probe",
                action="append",
                default=[],
                dest="probes",
                help="run only the scenario of this probe, a name or a pattern, and keep all else",
            )
        if function is show:
            command.add_argument("target", help="a name or a pattern")
            command.add_argument("probes", nargs="*", help="only these")
    options = vars(parser.parse_args())
    # A shell lets its background jobs ignore SIGINT, and processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its launches end, too
    problems: list[str] = options.pop("function")(**options)
    sys.exit("\n".join(problems) or 0)


# The subcommands: each returns the problems that it found.


def run(targets: Sequence[str], probes: Sequence[str]) -> list[str]:
    """Run the targets, all by default, and write their results and the pages."""
    matrix = Matrix(PYTHON, probes=probes)
    found = matrix.find(targets)
    matrix.run_controls(found)
    deviations = matrix.write(found, FOLDER)
    return deviations + _write_pages()


def show(target: str, probes: Sequence[str]) -> list[str]:
    """Run the cells of a target, and print the journal of each."""
    Matrix(PYTHON).show(target, probes)
    return []


def smoke() -> list[str]:
    """Run a part that takes a few minutes, and compare it with the committed results."""
    return Matrix(_available_python()).compare()


def versions(names: Sequence[str], probes: Sequence[str]) -> list[str]:
    """Run targets on other Pythons and releases, and write their results and the pages."""
    deviations: list[str] = []
    releases = find_releases(names)
    matrix = Matrix(PYTHON, probes=probes)
    matrix.run_controls(matrix.find([each for it in releases.values() for each in it.targets]))
    for name, release in releases.items():
        print(f"{release.title}:", file=sys.stderr)
        matrix = Matrix(release.python, release.versions, probes)
        deviations += matrix.write(matrix.find(release.targets), VERSIONS / name)
    return deviations + _write_pages()


def check() -> list[str]:
    """Run no server, and check that results, notes and pages are complete and committed."""
    # Without a result the pages cannot be rendered.
    return _missing() or [*outdated(read_notes()), *pages.differs(), *_uncommitted()]


def render() -> list[str]:
    """Run no server, and write the notes into the results, and the pages."""
    notes = read_notes()
    for folder in folders():
        for target, result in read_results(folder).items():
            write_result(target, result, notes, folder)
    pages.write()
    return []


def _available_python() -> str:
    """Return the Python of the committed results, or the one that runs this where it is missing."""
    if PYTHON in find_interpreters():
        return PYTHON
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"Python {PYTHON} was not found: nothing is compared on {own}.", file=sys.stderr)
    return own


def _write_pages() -> list[str]:
    """Write the pages, unless results are missing, and return the names of those."""
    missing = _missing()
    if not missing:
        pages.write()
    return missing


def _missing() -> list[str]:
    published = [target for target in read_targets().values() if not target.control]
    return lacks(published, read_probes(), read_results(), read_notes())


def _uncommitted() -> list[str]:
    """Return which results and pages are not as they were committed, new ones included."""
    command = ["git", "status", "--porcelain", "--", "integration", "docs/compatibility.md"]
    command.append("docs/compatibility")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [f"not committed: {line[3:]}" for line in done.stdout.splitlines()]


if __name__ == "__main__":
    main()
