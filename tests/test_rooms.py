"""The rooms of the core: the size of its files, the direction of its imports, and its map."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_asgi_lifespan.supervisor.states import State

ROOT = Path(__file__).parents[1]
CORE = ROOT / "packages/core/src/django_asgi_lifespan"
FILES = sorted(path.relative_to(CORE).as_posix() for path in CORE.rglob("*.py"))
LONGEST = 210


def read_map() -> list[str]:
    """Return the files that CONTRIBUTING lists, from the top of the core to its bottom."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    _, _, section = contributing.partition("\n## The core, file by file\n")
    section, _, _ = section.partition("\n## ")
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in rows for name in re.findall(r"`([\w/]+\.py)`", cell)]


def imported(file: str) -> Iterator[str]:
    """Yield the files of the core that *file* imports, at its top or in its functions.

    Imports for the type checker load nothing. A ``__getattr__`` keeps an old address of a name for
    users, and the module itself makes no use of it.
    """
    package = ["django_asgi_lifespan", *Path(file).parts[:-1]]
    queue: list[ast.AST] = [ast.parse((CORE / file).read_text())]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            queue += node.orelse
            continue
        queue += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from filter(None, (find(alias.name.split(".")) for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                found = find([*module, alias.name]) or find(module)
                if found:
                    yield found


def find(parts: list[str]) -> str | None:
    """Return the file of a module of the core, if it is one."""
    top, *names = parts
    if top != "django_asgi_lifespan":
        return None
    path = "/".join(names)
    return next(
        (each for each in (f"{path}.py", f"{path}/__init__.py".lstrip("/")) if each in FILES), None
    )


MAP = read_map()


def test_the_map_has_every_file_once() -> None:
    """A new file gets a line in CONTRIBUTING, at its place."""
    assert sorted(MAP) == FILES


def test_the_page_about_the_architecture_knows_the_files_and_the_states() -> None:
    """Each file that it names is there, and each state of a resource is explained."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([a-z_/]+\.py)`", page))
    assert named
    assert named - {*FILES} == {"server.py", "stop.py"}  # of the adapters' packages
    assert re.findall(r"^- \*\*([A-Z]+)\*\*", page, re.MULTILINE) == [*State.__members__]


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_short(file: str) -> None:
    """It has one job. A further job is a further file."""
    lines = (CORE / file).read_text().count("\n")
    assert lines <= LONGEST, f"{file} has {lines} lines. Split it where its jobs meet."


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_only_files_below_it(file: str) -> None:
    """So no import goes up, and no imports form a circle."""
    below = MAP[MAP.index(file) + 1 :]
    assert not {*imported(file)} - {*below}


def test_imports_are_seen_wherever_they_stand() -> None:
    """At the top of a file, in a function, relative, and of a package inside the core."""
    assert {*imported("supervisor/supervisor.py")} >= {"errors.py", "supervisor/graph.py"}
    assert "lookup.py" in imported("declaration.py")
    assert "supervisor/__init__.py" in imported("lifespan.py")
    assert "roles.py" not in imported("lifespans.py")
