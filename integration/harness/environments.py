"""Environments for the targets: one for each set of packages, ours from built wheels."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

from tools import pins

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".matrix"
_lock = threading.Lock()


class Environments:
    """Makes and finds environments.

    Args:
        python: the path of the interpreter.
        versions: releases to install instead of the pinned ones, by package.
    """

    def __init__(self, python: str, versions: Mapping[str, str] | None = None) -> None:
        self._python = python
        self._versions = versions or {}
        self._wheels = FOLDER / "wheels"
        self._made: dict[tuple[str, ...], Path] = {}

    def build_wheels(self) -> None:
        """Build the wheels of all our packages, of which every environment is made."""
        shutil.rmtree(self._wheels, ignore_errors=True)
        build = [pins.find_uv(), "build", "--quiet", "--wheel", "--all-packages"]
        _run([*build, "--out-dir", str(self._wheels)])

    def make(self, requirements: Sequence[str]) -> Path:
        """Return the environment that has these packages, and nothing that they do not need."""
        key = tuple(sorted(requirements))
        with _lock:
            if key not in self._made:
                self._made[key] = self._make(key)
            return self._made[key]

    def _make(self, requirements: tuple[str, ...]) -> Path:
        pinned = [pin for pin in pins.read_pins() if pin.split("==")[0] not in self._versions]
        pinned += [f"{name}=={version}" for name, version in self._ours().items()]
        chosen = [f"{name}=={version}" for name, version in self._versions.items()]
        contents = "\n".join([self._python, *requirements, *pinned, *chosen])
        digest = hashlib.sha256(contents.encode()).hexdigest()[:12]
        environment = FOLDER / "environments" / digest
        python = environment / "bin" / "python"
        uv = pins.find_uv()
        marker = environment / "wheels.sha256"
        ours = hashlib.sha256(b"".join(map(Path.read_bytes, self._wheel_files()))).hexdigest()
        if marker.exists() and marker.read_text() == ours:
            return environment
        marker.unlink(missing_ok=True)
        if not python.exists():
            _run([uv, "venv", "--quiet", "--clear", "--python", self._python, str(environment)])
        constraints = environment / "constraints.txt"
        constraints.write_text("\n".join([*pinned, *chosen]))
        install = [uv, "pip", "install", "--quiet", "--no-config", "--python", str(python)]
        install += ["--compile-bytecode", "--constraints", str(constraints)]
        install += ["--find-links", str(self._wheels)]
        # A wheel that was built again has the version of the one before.
        install += [word for name in self._ours() for word in ("--reinstall-package", name)]
        _run([*install, *requirements])
        _check_packages(environment)
        marker.write_text(ours)
        return environment

    def _wheel_files(self) -> list[Path]:
        return sorted(self._wheels.glob("*.whl"))

    def _ours(self) -> dict[str, str]:
        """Return the version of each of our packages, as its wheel is named."""
        names = [wheel.name.split("-") for wheel in self._wheel_files()]
        return {name.replace("_", "-"): version for name, version, *_ in names}


def _check_packages(environment: Path) -> None:
    """Raise SystemExit where one of our packages came without its types."""
    for package in environment.glob("lib/python*/site-packages/django_asgi_lifespan*/"):
        if not package.name.endswith(".dist-info") and not (package / "py.typed").exists():
            sys.exit(f"{package.name} was installed without py.typed: look at its wheel.")


def versions(environment: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the version of each package that is installed there."""
    (site,) = environment.glob("lib/python*/site-packages")
    found = {
        each.metadata["Name"].lower().replace("_", "-"): each.version
        for each in distributions(path=[str(site)])
    }
    return {name: found[name] for name in sorted(names) if name in found}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}")
