"""Runs the core's tests on every pair of Python and Django that the core supports.

Each pair has an environment of its own in .versions/, made when first needed, with the workspace's
pinned versions of everything but Django. Tests that start server processes are left out. Each pair
leaves its coverage data beside pyproject.toml, ready for `coverage combine`.

The adapters' tests, without server processes too, run on the lowest and the highest Python: the
parts of servers and of Django that they rely on must be there.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tools import pins

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".versions"
LAID_OUT = ENVIRONMENTS / "pythons"
"""The folder of the interpreters that `just pythons` lays out."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
# The first and the last Python of each Django: "What Python version can I use with Django?" in the
# FAQ of Django's documentation.
DJANGOS = {
    "4.2": ("3.10", "3.12"),
    "5.2": ("3.10", "3.14"),
    "6.0": ("3.12", "3.14"),
    "6.1": ("3.12", "3.15"),
}

# On this pair threads inherit the context that they begin in, as in a free-threaded Python. Before
# Django 6.1 a cancelled request may leave a thread of asgiref's behind there, in stock Django, too.
INHERITING = ("3.14", "6.1")


class Pair(NamedTuple):
    """A Python, where it is, and a series of Django."""

    python: str
    interpreter: str
    django: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its tests."""
        return {"COVERAGE_FILE": f".coverage.python{self.python}-django{self.django}"}

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the interpreter for its tests."""
        inherits = (self.python, self.django) == INHERITING
        return ("-X", "thread_inherit_context=1") if inherits else ()

    def __str__(self) -> str:
        return " ".join((f"Python {self.python}, Django {self.django}", *self.options))


def find_interpreters() -> dict[str, str]:
    """The path of each Python that is here: on PATH, by uv, by pyenv, or by `just pythons`."""
    pyenv = os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")
    # pyenv's shims fail for a version that is not selected, hence the directories behind them.
    folders = [os.environ["PATH"], *map(str, Path(pyenv).glob("versions/*/bin"))]
    folders.append(str(LAID_OUT / "usr" / "bin"))
    search = os.environ | {"PATH": os.pathsep.join(folders)}
    found: dict[str, str] = {}
    for python in PYTHONS:
        command = [pins.find_uv(), "python", "find", "--system", "--no-project"]
        command += ["--no-python-downloads", f"cpython{python}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=search)
        if done.returncode == 0:
            found[python] = done.stdout.strip()
    return found


def choose_pairs(interpreters: dict[str, str]) -> list[Pair]:
    """The pairs to run, lowest first. Prints the others, each with its reason."""
    chosen: list[Pair] = []
    for python in PYTHONS:
        for django, (first, last) in DJANGOS.items():
            pair = Pair(python, interpreters.get(python, ""), django)
            if not PYTHONS.index(first) <= PYTHONS.index(python) <= PYTHONS.index(last):
                print(f"{pair}: skipped, Django {django} supports Python {first} to {last}")
            elif not pair.interpreter:
                print(f"{pair}: skipped, there is no Python {python} here")
            else:
                chosen.append(pair)
    return chosen


def leave_out(pairs: list[Pair]) -> list[Pair]:
    """The pairs without those that others stand for.

    Left are the first and the last Python of each Django, one Django for every other Python, and
    the pair with inherited contexts.
    """
    ends = [pair for pair in pairs if pair.python in DJANGOS[pair.django] or pair.options]
    others = {
        pair.python: pair for pair in pairs if pair.python not in {end.python for end in ends}
    }
    return [pair for pair in pairs if pair in ends or pair in others.values()]


def prepare(pair: Pair) -> str:
    """The interpreter of the pair's environment, in which everything is installed."""
    environment = ENVIRONMENTS / f"python{pair.python}-django{pair.django}"
    executable = environment / "bin" / "python"
    if not executable.exists():
        run(pins.find_uv(), "venv", "--clear", "--python", pair.interpreter, str(environment))
    # Without --no-config, uv would apply the workspace's constraints, Django's among them.
    install = [pins.find_uv(), "pip", "install", "--no-config", "--python", str(executable)]
    install += ["--constraints", str(ENVIRONMENTS / "constraints.txt"), "--group", "test"]
    run(*install, "--editable", "packages/core", f"Django=={pair.django}.*")
    return str(executable)


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """The output of the command, both streams together. Raises if it failed."""
    return subprocess.run(
        command,
        check=True,
        cwd=ROOT,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout


def test(pair: Pair, measured: bool) -> bool:  # noqa: FBT001 - mapped over both
    """Whether the pair passed. Prints one line, after the whole output if it failed.

    Some pairs alone run the tests marked as measured, whose processes take more than a minute.
    """
    try:
        python = prepare(pair)
        exact = run(python, "-m", "django", "--version").strip()
        said = run(
            *(
                python,
                *pair.options,
                "-m",
                "coverage",
                "run",
                "-m",
                "pytest",
                "packages/core/tests",
            ),
            *("-m", "not process or measured" if measured else "not process"),
            *("--hypothesis-profile=small", "-p", "no:cacheprovider"),
            environment=pair.environment,
        )
    except subprocess.CalledProcessError as error:
        print(f"{error.output}\n{pair}: failed with exit code {error.returncode}", flush=True)
        return False
    print(f"{pair} ({exact}): {said.strip().splitlines()[-1].strip('= ')}", flush=True)
    return True


def test_adapters(python: str, interpreter: str) -> bool:
    """Whether the adapters' tests passed on this Python. Prints one line, or the whole output."""
    command = [pins.find_uv(), "run", "--python", interpreter, "python", "-m", "pytest", "packages"]
    command += ["tests/test_seams.py", "--ignore", "packages/core"]
    command += ["-m", "not process", "-p", "no:cacheprovider"]
    place = str(ENVIRONMENTS / f"python{python}-adapters")
    # Where Daphne's autobahn has no wheel, it is built without its optional parts in C.
    environment = {"UV_PROJECT_ENVIRONMENT": place, "AUTOBAHN_USE_NVX": "0"}
    try:
        said = run(*command, environment=environment)
    except subprocess.CalledProcessError as error:
        print(f"{error.output}\nAdapters, Python {python}: failed", flush=True)
        return False
    print(f"Adapters, Python {python}: {said.strip().splitlines()[-1].strip('= ')}", flush=True)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the lowest and highest pair only")
    parser.add_argument("--fewer", action="store_true", help="no pair that lies between two others")
    options = parser.parse_args()

    pairs = choose_pairs(find_interpreters())
    if not pairs:
        sys.exit("No pair was run: no supported Python was found.")
    if options.fewer:
        pairs = leave_out(pairs)
    if options.quick:
        pairs = list(dict.fromkeys((pairs[0], pairs[-1])))

    for leftover in ROOT.glob(".coverage.*"):
        leftover.unlink()
    ENVIRONMENTS.mkdir(exist_ok=True)
    constraints = [pin for pin in pins.read_pins() if not pin.startswith("django==")]
    (ENVIRONMENTS / "constraints.txt").write_text("\n".join(constraints))

    with ThreadPoolExecutor(os.cpu_count()) as executor:
        ends = (pairs[0], pairs[-1])
        passed = list(executor.map(test, pairs, [pair in ends for pair in pairs]))
    if not all(passed):
        sys.exit(f"{passed.count(False)} of {len(pairs)} pairs failed.")
    print(f"All {len(pairs)} pairs passed.")
    pythons = {pair.python: pair.interpreter for pair in ends}
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        passed = list(executor.map(test_adapters, pythons, pythons.values()))
    if not all(passed):
        sys.exit(f"The adapters failed on {passed.count(False)} of {len(passed)} Pythons.")


if __name__ == "__main__":
    main()
