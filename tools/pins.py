"""Pins every package that the workspace installs, as constraints in the root pyproject.toml.

uv.lock would do the same, but it names registry hosts and is therefore not committed.
"""

import argparse
import ast
import difflib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
BEGIN = "# pins: begin (written by `just pins`)\nconstraint-dependencies = "
END = "\n# pins: end\n"


def find_uv() -> str:
    """The path of uv: of the one that runs this process, else of the one on PATH."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        sys.exit("uv was not found: UV is not set and PATH has none. Run `pip install uv`.")
    return uv


def resolve(*options: str) -> list[str]:
    """The workspace's requirements as uv resolves them under the present constraints."""
    command = [find_uv(), "export", "--project", str(PYPROJECT.parent), "--quiet", *options]
    command += ["--all-packages", "--all-groups", "--all-extras", "--no-emit-workspace"]
    command += ["--no-hashes", "--no-annotate", "--no-header"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)  # uv has said why
    return done.stdout.splitlines()


def read_pins() -> list[str]:
    """The pins in pyproject.toml."""
    _, rest = PYPROJECT.read_text().split(BEGIN)
    block, _ = rest.split(END)
    # This much TOML is Python as well, and tomllib comes with Python 3.11 only.
    return list(ast.literal_eval(block))


def write_pins(pins: list[str]) -> None:
    """Replaces the pins in pyproject.toml."""
    before, rest = PYPROJECT.read_text().split(BEGIN)
    _, after = rest.split(END)
    lines = "".join(f'    "{pin}",\n' for pin in pins)
    PYPROJECT.write_text(f"{before}{BEGIN}[\n{lines}]{END}{after}")


def update(*, upgrade: bool) -> None:
    """Pins the versions that uv resolves. With upgrade, ignores the pins of before."""
    original = PYPROJECT.read_text()
    try:
        if upgrade:
            write_pins([])
        write_pins(resolve("--upgrade") if upgrade else resolve())
    except BaseException:
        PYPROJECT.write_text(original)
        raise


def check() -> None:
    """Exits with the difference if uv does not resolve exactly the pins under these pins."""
    pins = read_pins()
    difference = difflib.unified_diff(pins, resolve(), "pinned", "resolved", lineterm="", n=0)
    if text := "\n".join(difference):
        sys.exit(f"The pins in pyproject.toml are out of date; run `just pins`.\n{text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--upgrade",
        action="store_true",
        help="take the newest versions, and run what depends on those that changed",
    )
    modes.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    options = parser.parse_args()
    if options.check:
        check()
        return
    before = read_pins()
    update(upgrade=options.upgrade)
    if options.upgrade:
        from tools import upgrade

        upgrade.check(before)


if __name__ == "__main__":
    main()
