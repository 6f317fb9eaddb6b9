"""Lays CPython 3.14 and 3.15 out in .versions/pythons, unless they are installed.

They come from Debian's unstable archive, through apt with lists and a state of its own, so nothing
of the system changes. They bring their own C library, because that of an older Debian is too old.
Where this cannot be done it says why, and succeeds: the tests run on the Pythons that are there.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.test_versions import LAID_OUT, find_interpreters

PYTHONS = ("3.14", "3.15")
SOURCES = Path("/etc/apt")
MIRROR = re.compile(r"^(?:URIs:|deb(?: \[.*\])?) *(\S+/debian(?:/\S*)?)(?:\s|$)", re.MULTILINE)
KEYRINGS = Path("/usr/share/keyrings")
PROBE = "import ctypes, lzma, sqlite3, ssl"


class CannotLayOutError(Exception):
    """The reason why the Pythons cannot be had here."""


def run(*command: str | Path) -> None:
    """Run a command without its output. Raises CannotLayOutError with the output if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        output = f"{done.stdout}{done.stderr}".strip()
        raise CannotLayOutError(f"{Path(command[0]).name} failed: {output}")


def write_source() -> str:
    """Return the line of apt that names the unstable archive, on the mirror that the system uses.

    Raises:
        CannotLayOutError: this system is no Debian.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise CannotLayOutError("this system has no apt-get and dpkg")
    keyrings = sorted(KEYRINGS.glob("debian-archive-keyring.*"))
    files = [*SOURCES.glob("sources.list"), *SOURCES.glob("sources.list.d/*.[ls]*[ts]")]
    mirrors = [mirror for file in files for mirror in MIRROR.findall(file.read_text())]
    if not (keyrings and mirrors):
        raise CannotLayOutError("apt has no mirror of Debian here, or not the keys of its archive")
    return f"deb [signed-by={keyrings[0]}] {mirrors[0]} sid main\n"


def unpack(versions: list[str], work: Path) -> None:
    """Download the packages of these versions and all that they need, and unpack them."""
    source = write_source()
    for folder in ("lists/partial", "archives/partial", "parts"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()  # as if nothing were installed
    (work / "sources.list").write_text(source)
    options = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": work / "parts",
        "Dir::State": work,
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "APT::Install-Recommends": "false",
    }
    apt = ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]
    run(*apt, "update")
    packages = [f"python{version}" for version in versions]
    run(*apt, "--yes", "--download-only", "install", *packages)
    for package in sorted((work / "archives").glob("*.deb")):
        run("dpkg-deb", "--extract", package, LAID_OUT)


def use_own_library(interpreter: Path) -> None:
    """Let the interpreter load the C library that was unpacked with it."""
    [loader] = LAID_OUT.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*")
    command: list[str | Path] = ["patchelf", "--set-interpreter", loader, "--force-rpath"]
    run(*command, "--set-rpath", loader.parent, interpreter)


def lay_out(versions: list[str]) -> None:
    """Lay these versions out. Leaves nothing behind where that fails."""
    shutil.rmtree(LAID_OUT, ignore_errors=True)
    LAID_OUT.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory() as work:
            unpack(versions, Path(work))
        for version in versions:
            interpreter = LAID_OUT / "usr" / "bin" / f"python{version}"
            use_own_library(interpreter)
            run(interpreter, "-c", PROBE)
            # Debian's packages have no compiled files, and the tests may be told to write none.
            library = LAID_OUT / "usr" / "lib" / f"python{version}"
            run(interpreter, "-m", "compileall", "-q", library)
    except BaseException:
        shutil.rmtree(LAID_OUT)
        raise


def main() -> None:
    found = find_interpreters()
    missing = [version for version in PYTHONS if version not in found]
    if missing:
        # Those that an earlier run laid out are laid out anew: all share one folder.
        again = [version for version in PYTHONS if LAID_OUT.as_posix() in found.get(version, "")]
        try:
            lay_out([*again, *missing])
        except CannotLayOutError as error:
            print(f"Python {' and '.join(missing)} cannot be laid out: {error}")
            return
        found = find_interpreters()
    for version in PYTHONS:
        print(f"Python {version}: {found[version]}")


if __name__ == "__main__":
    main()
