"""Stock uvicorn, and a resource with a task group whose task works in the background."""

from __future__ import annotations

import signal
import sys

import pytest

from testkit.client import Answer

from .conftest import Start

pytestmark = pytest.mark.process


@pytest.fixture(params=["anyio", "asyncio"])
def task_group(request: pytest.FixtureRequest) -> str:
    """The library that the task group is from."""
    if request.param == "asyncio" and sys.version_info < (3, 11):
        pytest.skip("asyncio.TaskGroup is new in Python 3.11")
    return str(request.param)


def test_task_group_works_and_closes(uvicorn: Start, loop: str, task_group: str) -> None:
    """The task works while the server serves, and ends when the resource closes."""
    with uvicorn("background", "--loop", loop, TASK_GROUP=task_group) as server:
        server.wait_until_serving()
        assert server.get("/put/one/") == Answer(200, {"accepted": "one"})
        server.wait_for("worker did one")
        server.stop("SIGTERM")
        assert server.wait() == -signal.SIGTERM
        assert server.story() == [
            "jobs opening",
            "jobs open",
            "worker started",
            "worker did one",
            "jobs closing",
            "worker ended",
            "jobs closed",
        ]


def test_task_group_closes_on_a_forced_exit(uvicorn: Start, loop: str, task_group: str) -> None:
    """A second Ctrl+C cancels the task as well, and the resource closes all the same.

    anyio cancels the whole group then, and nobody can wait for his turn in a cancelled group.
    """
    with uvicorn("background", "--loop", loop, TASK_GROUP=task_group) as server:
        server.wait_until_serving()
        server.send("/held/")
        server.wait_for("request held")
        server.stop("Ctrl+C")
        server.wait_until_refusing()
        server.stop("Ctrl+C")
        server.release("request")
        assert server.wait() == 0
        assert server.story() == [
            "jobs opening",
            "jobs open",
            "worker started",
            "request held",
            "worker ended",
            "jobs cancelled" if task_group == "anyio" else "jobs closing",
            "jobs closed",
        ]


def test_crashed_task_costs_its_resource_alone(uvicorn: Start, loop: str, task_group: str) -> None:
    """The resource has died, the log says why, ``get()`` says so too, and the server goes on."""
    with uvicorn("background", "--loop", loop, TASK_GROUP=task_group) as server:
        server.wait_until_serving()
        assert server.get("/put/bad/") == Answer(200, {"accepted": "bad"})
        server.wait_for("jobs closed")
        status, content = server.get("/put-with-care/one/")
        assert status == 503
        assert content["error"].startswith("jobs is not available: it died")
        assert "ValueError: a bad job" in content["error"]
        assert server.get("/put/one/").status == 500
        server.stop("SIGTERM")
        assert server.wait() == -signal.SIGTERM
        assert server.story() == [
            "jobs opening",
            "jobs open",
            "worker started",
            "worker ended",
            "jobs cancelled",
            "jobs closed",
        ]
        log = server.output().splitlines()
        errors = [line for line in log if line.startswith("django_asgi_lifespan ERROR: ")]
        assert errors == [
            "django_asgi_lifespan ERROR: jobs died while it was running: ValueError: a bad job"
        ]
        assert "INFO:     Application shutdown complete." in log
