"""The workspace as a whole: its pins, its recipes, its files and its wheels."""

import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from tools import pins, upgrade

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
COMMON = {"__init__.py", "hooks.py", "stop.py", "py.typed"}
FOR_TESTS = {"live.py", "pytest_plugin.py"}
COMMAND = {"__main__.py", "command.py"}
RUNSERVER = {
    "runserver.py",
    "management/__init__.py",
    "management/commands/__init__.py",
    "management/commands/runserver.py",
}
# A file named server.py or worker.py has subclasses of the server's classes.
ADAPTERS = {
    "daphne": COMMON | COMMAND | RUNSERVER | {"server.py", "live.py"},
    "granian": COMMON | COMMAND,
    "gunicorn": COMMON | {"worker.py", "asgi_worker.py", "uvicorn_worker.py"},
    "hypercorn": COMMON | COMMAND,
    "uvicorn": COMMON
    | COMMAND
    | RUNSERVER
    | FOR_TESTS
    | {"server.py", "supervisors.py", "apps.py", "checks.py"},
}
# The brackets keep the pattern from matching itself.
REGISTRY_HOSTS = re.compile("pypi[.]org|pythonhoste[d]|npmjs[.](com|org)|debian[.]org")


def run(*command: str) -> str:
    """The output of the command. It is an error if the command failed."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pins_are_what_uv_resolves() -> None:
    """Every resolved package is pinned with its version and markers, and nothing else is."""
    pins.check()


def test_an_upgrade_names_the_packages_that_have_other_versions() -> None:
    """A package may have a version for each Python, and may be new or gone."""
    before = ["a==1 ; python_version < '3.11'", "a==2 ; python_version >= '3.11'", "b==1", "c==1"]
    after = ["a==1 ; python_version < '3.11'", "a==3 ; python_version >= '3.11'", "b==1", "d==4"]
    assert upgrade.changes(before, after) == {
        "a": ("1 and 2", "1 and 3"),
        "c": ("1", "none"),
        "d": ("none", "4"),
    }


def test_an_upgrade_runs_each_recipe_that_depends_on_it_once() -> None:
    """That of the first pattern that fits a name."""
    assert upgrade.recipes(["django", "asgiref", "granian", "types-psutil"]) == [
        ("test-versions",),
        ("test", "packages/granian"),
        ("types",),
    ]


def test_recipes_explain_themselves() -> None:
    """Every recipe that `just` lists stands in a group and has a help text."""
    listed = json.loads(run("just", "--dump", "--dump-format", "json"))["recipes"].values()
    recipes = [recipe for recipe in listed if not recipe["private"]]

    assert recipes
    for recipe in recipes:
        assert recipe["doc"], recipe["name"]
        assert any("group" in attribute for attribute in recipe["attributes"]), recipe["name"]


def test_no_file_names_a_registry() -> None:
    """No file that is or could be committed names a host of a package registry."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a git checkout knows which files belong to the project")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    files = {path for name in listed.split("\0") if (path := ROOT / name).is_file()}

    assert Path(__file__) in files
    assert [path for path in files if REGISTRY_HOSTS.search(path.read_text(errors="ignore"))] == []


@pytest.mark.parametrize("server", ADAPTERS)
def test_each_adapter_has_the_same_files(server: str) -> None:
    """So `diff -rq` of two adapters shows the differences of their servers, and no others."""
    package = ROOT / "packages" / server
    source = package / "src" / f"django_asgi_lifespan_{server}"
    files = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert files == ADAPTERS[server]
    assert (package / "tests" / "seams.py").is_file()


@pytest.mark.parametrize("server", ADAPTERS)
def test_adapters_import_from_two_modules_of_the_core(server: str) -> None:
    """So each other module of the core may change without its adapters. Those for tests aside."""
    imports = re.compile(r"^\s*(?:from|import) (django_asgi_lifespan(?:\.[\w.]+)?)\b", re.MULTILINE)
    source = ROOT / "packages" / server / "src"
    paths = [path for path in source.rglob("*.py") if path.name not in FOR_TESTS]
    used = {name for path in paths for name in imports.findall(path.read_text())}
    assert used - {"django_asgi_lifespan", "django_asgi_lifespan.adapters"} == set()


def test_every_adapter_has_a_list_of_files() -> None:
    """An adapter for another server is listed, too."""
    assert sorted(["core", *ADAPTERS]) == [package.name for package in PACKAGES]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_wheels_keep_their_promises(package: Path, tmp_path: Path) -> None:
    """A package's wheel carries the workspace's licence, and the marker that says it is typed."""
    run(pins.find_uv(), "build", "--wheel", "--out-dir", str(tmp_path), str(package))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}

        assert "py.typed" in names
        assert archive.read(names["licenses/LICENSE"]) == (ROOT / "LICENSE").read_bytes()
