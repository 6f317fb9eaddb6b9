"""``manage.py lifespan``: the tree of resources, its diagram, and one run of everything."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_asgi_lifespan import (
    Resource,
    ResourceUnavailableError,
    lifespan_status,
    resource,
    run_lifespan,
)
from django_asgi_lifespan.timeline import ASCII, BOXES, boxes_for


async def _value() -> AsyncIterator[int]:
    yield 1


def _sync_value() -> Iterator[int]:
    yield 1


async def _broken() -> AsyncIterator[int]:
    yield 1
    raise OSError("cannot close")


def declare(name: str, *requires: Resource[Any], factory: Any = _value, **options: Any) -> Any:
    """Declare a resource."""
    return resource(factory, name=name, requires=requires, **options)


@pytest.fixture
def _shop() -> None:
    """Declare the resources of a shop."""
    client = declare("client", startup_timeout=10, check=bool)
    database = declare("database", factory=_sync_value, keep_connections=True)
    catalogue = declare("catalogue", client, shutdown_timeout=2.5)
    declare("consumer", database, catalogue)
    declare("reporter", catalogue)


def call(*options: str) -> str:
    """Return the output of the command."""
    output = io.StringIO()
    call_command("lifespan", *options, stdout=output)
    return output.getvalue()


def fail(*options: str) -> tuple[int, str]:
    """Return the exit code and the message of the command that fails."""
    with pytest.raises(CommandError) as error:
        call(*options)
    return error.value.returncode, str(error.value)


@pytest.mark.usefixtures("_shop")
def test_the_tree_shows_each_resource_with_its_requirements() -> None:
    """Where it is declared, its limits and its options. A subtree is shown once."""
    here = f"({__name__}._value)"
    assert call() == (
        f"consumer  {here}\n"
        f"├── database  ({__name__}._sync_value)  keep_connections\n"
        f"└── catalogue  {here}  shutdown_timeout=2.5\n"
        f"    └── client  {here}  startup_timeout=10  check\n"
        f"reporter  {here}\n"
        f"└── catalogue  {here}  shutdown_timeout=2.5  (see above)\n"
    )


def test_a_branch_goes_on_beside_its_own_branches() -> None:
    """With the lines of a tree."""
    upper = declare("upper", declare("lower"))
    declare("top", upper, declare("other"))
    names = [line.split("  (")[0] for line in call().splitlines()]
    assert names == ["top", "├── upper", "│   └── lower", "└── other"]


@pytest.mark.usefixtures("_shop")
def test_the_diagram_is_for_mermaid() -> None:
    """Each arrow leads to a requirement."""
    assert call("--mermaid") == (
        "graph TD\n"
        '    r0["client"]\n'
        '    r1["database"]\n'
        '    r2["catalogue"]\n'
        '    r3["consumer"]\n'
        '    r4["reporter"]\n'
        "    r2 --> r0\n"
        "    r3 --> r1\n"
        "    r3 --> r2\n"
        "    r4 --> r2\n"
    )


def test_a_project_without_resources_is_told_so() -> None:
    """An empty output would leave a doubt."""
    assert call() == "No resources are declared.\n"


@pytest.mark.usefixtures("_shop")
@pytest.mark.parametrize("level", [logging.NOTSET, logging.ERROR, logging.INFO])
def test_a_run_shows_when_each_resource_was_open(level: int) -> None:
    """Whatever the level of the logger, which it has again afterwards."""
    logger = logging.getLogger("django_asgi_lifespan")
    logger.setLevel(level)
    try:
        output = call("--run")
        assert logger.level == level
    finally:
        logger.setLevel(logging.NOTSET)
    assert not logger.handlers
    head, *lines = output.splitlines()
    assert head.split() == ["seconds", "open", "event", "result", "ms"]
    events = [re.split(r"  +", line.strip())[-2 if line[-1].isdigit() else -1] for line in lines]
    middle = events.index("startup complete")
    assert events[0] == "startup begins"
    assert events[-1] == "shutdown complete"
    names = {"client", "database", "catalogue", "consumer", "reporter"}
    assert {*events[1:middle]} == {f"{name} opened" for name in names}
    assert {*events[middle + 1 : -1]} == {f"{name} closed" for name in names}
    assert events.index("client opened") < events.index("catalogue opened")
    assert "│ │ │ │ │  startup complete" in output


@pytest.mark.usefixtures("_shop")
def test_a_part_can_be_run() -> None:
    """The named resources and those that they require."""
    output = call("--run", "--only", "catalogue", "--only", "database")
    for name in ("client", "catalogue", "database"):
        assert f"  {name} closed" in output
    assert "consumer" not in output
    assert fail("--only", "client") == (1, "--only needs --run.")
    code, message = fail("--run", "--only", "clent")
    assert code == 3
    assert "Did you mean 'client'?" in message


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
def test_a_run_that_fails_ends_with_3(phase: str) -> None:
    """The timeline shows how far it came."""

    async def fails() -> AsyncIterator[int]:
        raise OSError("refused")
        yield 1

    client = declare("client")
    declare("broken", client, factory=fails if phase == "startup" else _broken)
    output = io.StringIO()
    with pytest.raises(CommandError, match=r"broken failed to st\w+: OSError: ") as error:
        call_command("lifespan", "--run", stdout=output)
    assert error.value.returncode == 3
    assert "client closed" in output.getvalue()
    assert ("startup complete" in output.getvalue()) == (phase == "shutdown")


@pytest.mark.parametrize("options", [(), ("--mermaid",), ("--run",)])
def test_resources_that_cannot_start_end_it_with_3(options: tuple[str, ...]) -> None:
    """Here is a circle, which has no tree."""
    resource(_value, name="one", requires=["other"])
    resource(_value, name="other", requires=["one"])
    code, message = fail(*options)
    assert code == 3
    assert "in a circle" in message


@pytest.mark.usefixtures("_shop")
def test_an_output_without_lines_gets_ascii() -> None:
    """Such as a terminal of Windows."""
    assert boxes_for("cp1252") == ASCII
    assert boxes_for("utf-8") == boxes_for(None) == BOXES

    class Terminal(io.StringIO):
        encoding = "ascii"

    with contextlib.redirect_stdout(Terminal()) as output:
        call_command("lifespan", "--run")
    text = output.getvalue()
    assert "| | | | |  startup complete" in text
    assert "+" in text


@pytest.mark.real_clock
@pytest.mark.usefixtures("_shop")
async def test_the_status_is_that_of_the_running_lifespan() -> None:
    """As data that JSON can hold."""
    async with run_lifespan():
        status = lifespan_status()
        assert json.loads(json.dumps(status)) == status
        assert (status["phase"], status["is_stopping"]) == ("running", False)
        assert [each["name"] for each in status["resources"]] == [
            "client",
            "database",
            "catalogue",
            "consumer",
            "reporter",
        ]
        assert status["resources"][2] == {
            "name": "catalogue",
            "origin": f"{__name__}._value",
            "requires": ["client"],
            "startup_timeout": None,
            "shutdown_timeout": 2.5,
            "keep_connections": False,
            "has_check": False,
            "state": "open",
        }
        assert status["resources"][0]["has_check"]
    with pytest.raises(ResourceUnavailableError, match="The status of the lifespan is not avail"):
        lifespan_status()


async def test_the_status_tells_of_a_resource_that_died() -> None:
    """And of those that are not open yet, to a resource that asks."""

    async def mortal() -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(5, task.cancel)
        states.append([each["state"] for each in lifespan_status()["resources"]])
        yield

    states: list[list[str]] = []
    declare("mortal", declare("client"), factory=mortal)
    async with run_lifespan():
        await asyncio.sleep(10)
        states.append([each["state"] for each in lifespan_status()["resources"]])
    assert states == [["open", "not open"], ["open", "died"]]
