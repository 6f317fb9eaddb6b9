"""Measures what the performance budget limits, prints it, and writes docs/performance.md.

Ends with 1 if a figure is over its budget. Takes a few minutes.
"""

import argparse
import os
import platform
import sys
from pathlib import Path

from benchmarks import environments, measure, page
from tools import test_versions

PAGE = test_versions.ROOT / "docs" / "performance.md"
VERSIONS = (
    "import platform, asgiref, django; "
    "print(f'Python {platform.python_version()}, Django {django.__version__}, '"
    "f'asgiref {asgiref.__version__}', end='')"
)


def describe_machine() -> str:
    """Return the processor and the system."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {model}, {platform.system()}"


def say(line: str) -> None:
    """Print *line* now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, print and write."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    compared = environments.prepare()
    versions = {environment.run("-c", VERSIONS) for environment in compared}
    if len(versions) != 1:
        sys.exit(f"The environments differ: {versions}")

    results = measure.measure(compared, lambda what: say(f"Measuring: {what}"))
    text = page.render(describe_machine(), versions.pop(), results)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)
    for row in page.rows(results):
        over = " (over its budget)" if row.kept is False else ""
        say(f"{row.figure}: {row.this}{over}")
        beside = {"budget": row.budget, "stock": row.stock, "0.5.4": row.previous}
        beside |= {"floor": row.floor, "control": row.control}
        say("    " + "; ".join(f"{name}: {text}" for name, text in beside.items() if text))
    sys.exit(any(row.kept is False for row in page.rows(results)))


if __name__ == "__main__":
    main()
