"""The `tests/seams.py` of each package lists the private parts of others that it relies on.

A seam is a place and a text. The place is a file below site-packages or of Python itself. The line
after a colon has the text in the newest release that `pyproject.toml` pins. The class or function
after a space has the text in every release. Without a name the text stands somewhere in the file.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

from tools import pins

PACKAGES = Path(__file__).parents[1] / "packages"
PLACE = re.compile(r"(?P<file>[\w/]+\.py)(:(?P<line>\d+))?( (?P<name>[\w.]+))?")
MENTION = re.compile(r"(?<![\w/])[\w/]*\w\.py:\d+")
WITHOUT_FILE = re.compile(r"(?<=[ (]):\d+\b")


class Seam(NamedTuple):
    """One line of a list, its place taken apart."""

    file: str
    line: int | None
    name: str | None
    text: str

    @property
    def package(self) -> str:
        """The package that the file belongs to."""
        return self.file.partition("/")[0].removesuffix(".py")


def read_seams(package: str) -> list[Seam]:
    """Return the list of a package."""
    seams = []
    for place, text in runpy.run_path(str(PACKAGES / package / "tests" / "seams.py"))["SEAMS"]:
        found = PLACE.fullmatch(place)
        assert found, f"{place!r} is no place"
        seams.append(Seam(found["file"], found["line"] and int(found["line"]), found["name"], text))
    return seams


def pinned(package: str) -> str:
    """Return the newest release of a package that is pinned for any Python."""
    exact = rf"{package.replace('_', '-')}==(\S+)"
    return [found[1] for pin in pins.read_pins() if (found := re.match(exact, pin))][-1]


def find_part(source: str, name: str | None) -> str:
    """Return the part of a source that is the class or the function of this name."""
    node: ast.AST = ast.parse(source)
    for part in name.split(".") if name else ():
        node = next(
            each
            for each in ast.walk(node)
            if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and each.name == part
        )
    return (ast.get_source_segment(source, node) if name else None) or source


def find_fault(seam: Seam) -> str | None:
    """Return how the installed release differs from the list, or None if it does not."""
    spec = importlib.util.find_spec(seam.package)
    if spec is None:
        return None  # a server that does not run on this platform
    assert spec.origin
    folder = Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]
    source = (folder / seam.file).read_text()
    if seam.text not in find_part(source, seam.name):
        return f"{seam.text!r} is not in {seam.name or 'the file'}"
    if seam.line and version(seam.package) == pinned(seam.package):
        lines = source.splitlines(keepends=True)[seam.line - 1 :]
        if not 0 <= "".join(lines).find(seam.text) < len(lines[0]):
            return f"{seam.text!r} is not in line {seam.line}, {lines[0]!r}"
    return None


LISTED = sorted(path.parents[1].name for path in PACKAGES.glob("*/tests/seams.py"))


@pytest.mark.parametrize("package", LISTED)
def test_every_text_stands_at_its_place(package: str) -> None:
    """In the installed release of the server, of Django and of the libraries below."""
    faults = {seam: find_fault(seam) for seam in read_seams(package)}
    assert {seam.file: fault for seam, fault in faults.items() if fault} == {}


@pytest.mark.parametrize("package", LISTED)
def test_each_line_that_is_named_is_a_seam(package: str) -> None:
    """In the README and in the modules: a reader who looks it up finds it."""
    seams = read_seams(package)
    known = {f"{seam.file}:{seam.line}" for seam in seams}
    known |= {place.removeprefix(f"{package}/") for place in known}
    for file in [PACKAGES / package / "README.md", *(PACKAGES / package / "src").rglob("*.py")]:
        text = file.read_text()
        assert set(MENTION.findall(text)) - known == set(), file
        assert WITHOUT_FILE.findall(text) == [], file


def test_every_package_has_a_list() -> None:
    """Also the core."""
    assert {path.name for path in PACKAGES.iterdir()} == set(LISTED)
