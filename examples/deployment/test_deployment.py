"""The manifests start the project, stop it, and leave it the time that its stop may take."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from gunicorn.config import GracefulTimeout
from hypercorn.config import Config

from django_asgi_lifespan.adapters import limits, process
from django_asgi_lifespan.conf import LifespanSettings
from testkit.client import HOST
from testkit.processes import start

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/deployment.md").read_text()
SCRIPTS = Path(sys.executable).parent

SHUTDOWN = LifespanSettings().shutdown_timeout or 0
RESERVE = 10
"""Seconds that the page adds, for code that obeys no limit."""


@dataclass
class Manifest:
    """The facts of one manifest.

    Attributes:
        command: starts the server.
        patience: seconds from SIGTERM to SIGKILL.
        paths: those that are asked for.
    """

    command: Sequence[str]
    patience: float
    paths: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict[str, str])


def from_kubernetes() -> Manifest:
    """Read the Deployment."""
    deployment, service = yaml.safe_load_all((HERE / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    assert {probe["port"] for probe in probes} == {container["ports"][0]["name"]}
    return Manifest(
        command=[*container["command"], *container["args"]],
        patience=pod["spec"]["terminationGracePeriodSeconds"],
        paths=[probe["path"] for probe in probes],
        environment={each["name"]: each["value"] for each in container["env"]},
    )


def from_compose() -> Manifest:
    """Read the Compose file, and the Dockerfile that it builds."""
    service = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]["depot"]
    [command] = re.findall(
        r"^CMD (.*)", (HERE / service["build"] / "Dockerfile").read_text(), re.MULTILINE
    )
    [path] = re.findall(r"http://127.0.0.1:8000(/\w+)", " ".join(service["healthcheck"]["test"]))
    return Manifest(
        command=json.loads(command),
        patience=float(service["stop_grace_period"].removesuffix("s")),
        paths=[path],
        environment=service["environment"],
    )


def from_systemd() -> Manifest:
    """Read the unit."""
    unit = dict(re.findall(r"^(\w+)=(.*)$", (HERE / "depot.service").read_text(), re.MULTILINE))
    program, *arguments = shlex.split(unit["ExecStart"])
    return Manifest([Path(program).name, *arguments], float(unit["TimeoutStopSec"]))


def from_procfile() -> Manifest:
    """Read the line of the web process. Heroku waits for 30 seconds."""
    processes = dict(line.split(": ", 1) for line in (HERE / "Procfile").read_text().splitlines())
    env, variable, *command = shlex.split(processes["web"])
    assert env == "env"
    name, value = variable.split("=")
    return Manifest(command, 30, environment={name: value})


MANIFESTS = [from_kubernetes, from_compose, from_systemd, from_procfile]


def option(command: Sequence[str], name: str) -> float:
    """Return the value of an option."""
    return float(command[command.index(name) + 1])


@pytest.mark.parametrize("read", MANIFESTS)
def test_nobody_kills_before_the_stop_has_ended(read: Callable[[], Manifest]) -> None:
    """The sum of the page is the time that the manifest allows."""
    manifest = read()
    seconds = float(manifest.environment.get("DRAIN_DELAY", 0))
    seconds += option(manifest.command, "--timeout-graceful-shutdown")
    seconds += float(manifest.environment.get("SHUTDOWN_TIMEOUT", SHUTDOWN))
    seconds += RESERVE
    assert seconds == manifest.patience


def test_the_reserve_is_enough() -> None:
    """For threads that hang, and for resources that were given up."""
    assert process.PATIENCE + process.LAST_WORDS + 2 * limits.GRACE <= RESERVE


@pytest.mark.process
@pytest.mark.parametrize("read", MANIFESTS)
def test_the_command_serves_answers_its_probes_and_stops(read: Callable[[], Manifest]) -> None:
    """As the process manager runs it, but for the address."""
    manifest = read()
    place = {"0.0.0.0": HOST, "8000": "{port}", "$PORT": "{port}"}  # noqa: S104, RUF100
    program, *arguments = (place.get(word, word) for word in manifest.command)
    environment = {"SECRET_KEY": "for tests only", **manifest.environment}
    with start([str(SCRIPTS / program), *arguments], cwd=HERE, environment=environment) as server:
        server.wait_until_serving()
        assert server.get("/").content == {"apples": 3}
        for path in manifest.paths:
            assert server.get(path).status == 200, path
        server.stop("SIGTERM")
        assert server.wait() == 0


def test_the_check_of_compose_fails_where_nobody_serves() -> None:
    """Its exit code is all that Docker sees."""
    service = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]["depot"]
    _, _, *arguments = service["healthcheck"]["test"]
    code = arguments[-1].replace(":8000", ":1")
    command = [sys.executable, *arguments[:-1], code]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


@pytest.mark.process
@pytest.mark.parametrize("name", ["kubernetes", "procfile"])
def test_the_check_before_the_start_passes(name: str) -> None:
    """It is a command of the project."""
    if name == "kubernetes":
        deployment, _ = yaml.safe_load_all((HERE / "kubernetes.yaml").read_text())
        words = deployment["spec"]["template"]["spec"]["initContainers"][0]["command"]
    else:
        words = shlex.split((HERE / "Procfile").read_text().splitlines()[0])[1:]
    environment = {**os.environ, "SECRET_KEY": "for tests only"}
    command = [sys.executable, *words[1:]]
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """With a program and a user that most machines have."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    unit = (HERE / "depot.service").read_text()
    unit = unit.replace("/srv/depot/.venv/bin", str(SCRIPTS)).replace("User=depot", "User=daemon")
    (tmp_path / "depot.service").write_text(unit)
    command = [program, "verify", "--man=no", str(tmp_path / "depot.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "depot.service" in line], done.stderr


# The drawing of the page


def draw(requests: float, *, killed_after: int | None = None) -> str:
    """Draw one stop, a character a second."""
    if killed_after is not None:
        return "░" * round(requests) + "▓" * (killed_after - round(requests) - 1) + "✕"
    return "░" * round(requests) + "▓" * round(SHUTDOWN) + "·" * round(process.PATIENCE)


def test_the_page_draws_the_limits_of_each_server() -> None:
    """Those of the servers as they are installed, and of our commands."""
    daphne: Any = importlib.import_module("daphne.cli")  # which has no types
    parser = daphne.CommandLineInterface().parser
    killed = GracefulTimeout.default
    stops = {
        "uvicorn-lifespan": draw(limits.DEFAULT_LIMIT),
        "daphne": draw(parser.get_default("application_close_timeout")),
        "hypercorn": draw(Config().graceful_timeout),
        "gunicorn": draw(killed * limits.DRAIN_SHARE, killed_after=killed),
        "granian-lifespan": draw(
            limits.KILL_LIMIT * limits.DRAIN_SHARE, killed_after=limits.KILL_LIMIT
        ),
    }
    [drawing] = re.findall(r"^seconds .*?(?=^```)", PAGE, re.MULTILINE | re.DOTALL)
    scale, *lines = drawing.splitlines()
    assert scale.index("10") - scale.index("0") == 10
    assert dict(line.split() for line in lines) == stops
    assert {line.index(stops[line.split()[0]]) for line in lines} == {scale.index("0")}


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run there")
def test_gunicorn_gives_requests_the_share_that_its_file_tells() -> None:
    """And accepts the file."""
    [told] = re.findall(r"# (\d+) s for requests", (HERE / "gunicorn.conf.py").read_text())
    command = [sys.executable, "-m", "gunicorn", "--print-config", "depot.asgi:application"]
    environment = {**os.environ, "SECRET_KEY": "for tests only"}
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, check=True)
    shown = dict(re.findall(r"^(\w+) += (.*)$", done.stdout.decode(), re.MULTILINE))
    assert float(shown["graceful_timeout"]) * limits.DRAIN_SHARE == float(told)
    assert "LifespanWorker" in shown["worker_class"]
