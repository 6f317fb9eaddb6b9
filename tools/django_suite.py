"""Runs a part of Django's own test suite with our handler in the place of Django's.

Each test must end as it ends with Django's handler, without request threads and with them. The
tests come from the source distribution of each Django, which pip downloads into .versions/.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from tools import pins
from tools.test_versions import DJANGOS, ENVIRONMENTS, ROOT, find_interpreters, run

LABELS = (
    *("asgi", "async", "handlers", "signals", "requests_tests", "middleware", "sessions_tests"),
    *("csrf_tests", "auth_tests", "cache", "backends", "transactions", "servers"),
    *("staticfiles_tests", "test_client", "view_tests", "i18n", "file_uploads"),
)
QUICK = LABELS[:4]
KINDS = ("stock", "handler", "threads")
STAND_IN = Path(__file__).with_name("django_stand_in.py")
ENDED = re.compile(r"^(FAIL|ERROR|UNEXPECTED SUCCESS): (.*)$", re.MULTILINE)
COUNTED = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)


def prepare(django: str, interpreter: str) -> tuple[str, Path]:
    """Return the interpreter of an environment with that Django, and the folder of its tests."""
    folder = ENVIRONMENTS / f"suite-django{django}"
    executable = str(folder / "bin" / "python")
    if not Path(executable).exists():
        run(pins.find_uv(), "venv", "--clear", "--seed", "--python", interpreter, str(folder))
    install = [pins.find_uv(), "pip", "install", "--no-config", "--python", executable]
    run(*install, "--editable", "packages/core", f"Django=={django}.*", "tblib")
    exact = run(executable, "-m", "django", "--version").strip()
    tests = folder / f"django-{exact}" / "tests"
    if not tests.exists():
        download = [executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        run(*download, "--no-binary", ":all:", "--dest", str(folder), f"Django=={exact}")
        [archive] = folder.glob(f"[dD]jango-{exact}.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(folder / "unpacked", filter="data")
        [made] = (folder / "unpacked").iterdir()
        made.rename(tests.parent)
    return executable, tests


def outcome(kind: str, executable: str, tests: Path, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return how many tests ran, and the names of those that failed."""
    command = [executable, str(STAND_IN), kind, "--parallel=1", "--noinput", *labels]
    done = subprocess.run(
        command,
        cwd=tests,
        env=os.environ | {"PYTHONPATH": str(tests)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    counted = COUNTED.search(done.stdout)
    if counted is None:
        sys.exit(f"{done.stdout[-3000:]}\nDjango's tests did not run with {' '.join(command)}")
    failures = sorted({f"{word}: {name}" for word, name in ENDED.findall(done.stdout)})
    return (f"{counted[1]} tests", *failures)


def compare(django: str, interpreter: str, labels: tuple[str, ...]) -> bool:
    """Whether each test ended as with Django's handler. Prints one line, and the differences."""
    executable, tests = prepare(django, interpreter)
    stock, *ours = (outcome(kind, executable, tests, labels) for kind in KINDS)
    failed = len(stock) - 1
    exact = tests.parent.name
    is_same = all(each == stock for each in ours)
    words = "the same with our handler, without request threads and with them"
    print(f"{exact}: {stock[0]}, {failed} fail, {words if is_same else 'DIFFERENT'}", flush=True)
    for kind, each in zip(KINDS[1:], ours, strict=True):
        for line in sorted({*each} ^ {*stock}):
            print(f"  {kind if line in each else 'stock'} alone: {line}", flush=True)
    return is_same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("django", nargs="*", choices=[*DJANGOS, []], help="some of them alone")
    parser.add_argument("--quick", action="store_true", help=f"run {' '.join(QUICK)} alone")
    options = parser.parse_args()
    pythons = find_interpreters()
    ENVIRONMENTS.mkdir(exist_ok=True)
    same: list[bool] = []
    for django in options.django or DJANGOS:
        first, last = (tuple(map(int, each.split("."))) for each in DJANGOS[django])
        fitting = [
            path
            for python, path in pythons.items()
            if first <= tuple(map(int, python.split("."))) <= last
        ]
        if not fitting:
            print(f"Django {django}: skipped, there is no Python for it here")
            continue
        same.append(compare(django, fitting[-1], QUICK if options.quick else LABELS))
    if not same or not all(same):
        sys.exit(f"{same.count(False)} of {len(same)} differ.")


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
