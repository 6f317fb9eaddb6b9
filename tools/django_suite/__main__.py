"""Runs Django's own tests with Django's handler, with ours, and with ours and request threads.

Each test must end as it ends with Django's handler, after as many requests. The tests come from the
source distribution of each Django, which pip downloads into .versions/. In this copy they import
the handler from ``handlers.py`` instead of Django, as a project's asgi.py imports it from us. The
requests of their clients go through the handler too, by the clients of ``clients.py``.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools import pins
from tools.test_versions import DJANGOS, ENVIRONMENTS, PYTHONS, ROOT, find_interpreters, run

LABELS = (
    *("asgi", "async", "handlers", "signals", "requests_tests", "middleware", "sessions_tests"),
    *("csrf_tests", "auth_tests", "cache", "backends", "transactions", "servers"),
    *("staticfiles_tests", "test_client", "view_tests", "i18n", "file_uploads"),
)
QUICK = ("asgi", "async", "handlers", "signals", "csrf_tests", "test_client", "file_uploads")
NEWEST = "3.13"
"""The newest Python of the figures in docs/request-threads.md."""

KINDS = ("stock", "handler", "threads")
IMPORT = re.compile(r"^from django\.core(\.handlers)?\.asgi import", re.MULTILINE)
MARK = "from tools.django_suite.handlers import"

Outcomes = dict[str, tuple[Any, ...]]
"""For each test: how it ended, its requests, and those of them that had a request thread."""


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
        with tempfile.TemporaryDirectory(dir=folder) as made:
            download = [executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            run(*download, "--no-binary", ":all:", "--dest", made, f"Django=={exact}")
            [archive] = Path(made).glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                opened.extractall(made, filter="data")
            [unpacked] = Path(made).glob("*/tests")
            for name in ("asgi/tests.py", "staticfiles_tests/test_handlers.py"):
                replace_imports(unpacked / name)
            shutil.move(unpacked.parent, tests.parent)
    return executable, tests


def replace_imports(path: Path) -> None:
    """Let a file of tests import the handler from ``handlers.py``. Raises if it imports none."""
    text, count = IMPORT.subn(MARK, path.read_text())
    if not count:
        raise LookupError(f"{path} does not import Django's ASGI handler. Where are its tests now?")
    path.write_text(text)


def outcomes(kind: str, executable: str, tests: Path, labels: tuple[str, ...]) -> Outcomes:
    """Run the tests with one kind of handler, and return how each ended."""
    written = tests.parent / f"{kind}.json"
    written.unlink(missing_ok=True)
    command = [executable, "runtests.py", "--settings=tools.django_suite.settings"]
    command += ["--parallel=1", "--noinput", *labels]
    environment = {
        "PYTHONPATH": os.pathsep.join([str(tests), str(ROOT)]),
        "SUITE_KIND": kind,
        "SUITE_OUTCOMES": str(written),
    }
    done = subprocess.run(
        command,
        cwd=tests,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    written.with_suffix(".log").write_text(done.stdout)
    if not written.exists():
        sys.exit(f"{done.stdout[-3000:]}\nThe tests did not run: {' '.join(command)}")
    return {name: tuple(values) for name, values in json.loads(written.read_text()).items()}


def differences(stock: Outcomes, ours: Outcomes) -> list[str]:
    """Say of each test that did not end as with Django's handler, or sent other requests."""
    return [
        f"{name}: {ours.get(name, ('missing',))[:2]} instead of {stock.get(name, ('missing',))[:2]}"
        for name in sorted({*stock, *ours})
        if ours.get(name, ())[:2] != stock.get(name, ())[:2]
    ]


def compare(django: str, interpreter: str, labels: tuple[str, ...]) -> bool:
    """Whether each test ended as with Django's handler. Prints the figures and differences."""
    executable, tests = prepare(django, interpreter)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(outcomes, kind, executable, tests, labels) for kind in KINDS]
        stock, handler, threads = (each.result() for each in waiting)
    counts = Counter(values[0].partition(" ")[0] for values in stock.values())
    requests = sum(values[1] for values in handler.values())
    lent = sum(values[2] for values in threads.values())
    print(
        f"{tests.parent.name}: {len(stock)} tests, {requests} requests, {lent} of them with a "
        f"request thread; with Django's handler: "
        + ", ".join(f"{count} {word}" for word, count in counts.most_common()),
        flush=True,
    )
    if not requests or not lent:
        print("  No request reached the handler, or none had a request thread.")
        return False
    found = {"handler": differences(stock, handler), "threads": differences(stock, threads)}
    for kind, lines in found.items():
        print(f"  {kind}: {len(lines)} differences", *lines, sep="\n    ", flush=True)
    return not any(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("django", nargs="*", choices=[*DJANGOS, []], help="some of them alone")
    parser.add_argument("--quick", action="store_true", help=f"run {' '.join(QUICK)} alone")
    parser.add_argument("--label", nargs="+", help="run these of Django's folders of tests")
    options = parser.parse_args()
    labels = tuple(options.label or (QUICK if options.quick else LABELS))
    pythons = find_interpreters()
    ENVIRONMENTS.mkdir(exist_ok=True)
    same: list[bool] = []
    for django in options.django or DJANGOS:
        first, last = map(PYTHONS.index, DJANGOS[django])
        newest = min(last, PYTHONS.index(NEWEST))
        fitting = [pythons[each] for each in PYTHONS[first : newest + 1] if each in pythons]
        if not fitting:
            print(f"Django {django}: skipped, there is no Python for it here")
            continue
        same.append(compare(django, fitting[-1], labels))
    if not same or not all(same):
        sys.exit(f"{same.count(False)} of {len(same)} differ.")


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
