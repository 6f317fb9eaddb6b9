"""Stock uvicorn that starts, serves and stops as it should."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from testkit.client import Answer
from testkit.stories import FOUND, STARTED, STOPPED, held

from .conftest import Start

pytestmark = pytest.mark.process


def test_first_request_finds_every_resource_started(uvicorn: Start, loop: str) -> None:
    """While a resource is starting nobody can connect; once one can, all have started."""
    with uvicorn("chain", "--loop", loop, asgi="watched_asgi", CACHE_OPENING="held") as server:
        server.wait_for("cache held")
        assert not server.accepts()
        server.release("cache")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        assert server.story() == [
            "server lifespan.startup",
            *held(STARTED, at="cache opening"),
            "application lifespan.startup.complete",
            "request answered",
        ]


def test_sync_view_finds_the_resources(uvicorn: Start, loop: str) -> None:
    """A sync view gets the objects of an async one, from the resource and from the state."""
    with uvicorn("chain", "--loop", loop) as server:
        server.wait_until_serving()
        assert server.get("/sync/") == FOUND
        assert server.get("/async/") == FOUND


@pytest.mark.parametrize(("stop", "exit_code"), [("SIGTERM", -signal.SIGTERM), ("Ctrl+C", 0)])
def test_resources_close_after_the_last_response(
    uvicorn: Start, loop: str, stop: str, exit_code: int
) -> None:
    """The request in flight finds its resources at work and is answered before the first closes."""
    with uvicorn("chain", "--loop", loop) as server:
        server.wait_until_serving()
        request = server.send("/held/")
        server.wait_for("request held")
        server.stop(stop)
        server.wait_until_refusing()
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() == exit_code
        assert server.story() == [*STARTED, "request held", "request answered", *STOPPED]


def test_limit_of_requests_ends_in_a_shutdown(uvicorn: Start) -> None:
    """A server that has answered as many requests as it may closes its resources."""
    with uvicorn("chain", "--limit-max-requests", "1") as server:
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request answered", *STOPPED]


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_each_worker_has_resources_of_its_own(uvicorn: Start, loop: str, stop: str) -> None:
    """Every worker closes its resources, and uvicorn exits with 0."""
    with uvicorn("chain", "--loop", loop, "--workers", "2") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop(stop)
        assert server.wait() == 0
        first, second, *others = server.stories()
        # Others: uvicorn may find that Ctrl+C has ended a worker before it looks at it itself.
        assert [first, second, *others] == [[*STARTED, *STOPPED]] * (2 + len(others))


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_reload_closes_the_old_before_the_new_starts(
    uvicorn: Start, tmp_path: Path, stop: str
) -> None:
    """A changed file ends one lifespan and then begins the next, which ends with the server."""
    watched = tmp_path / "watched"
    watched.mkdir()
    file = watched / "changing.py"
    file.touch()
    with uvicorn("chain", "--reload", "--reload-dir", str(watched)) as server:
        server.wait_for("search open")
        server.change(file, lambda: "detected changes in" in server.output())
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop(stop)
        assert server.wait() == 0
        old, new = [*STARTED, *STOPPED], [*STARTED, "request answered", *STOPPED]
        assert server.stories() == [old, new]
        assert server.story() == old + new


def test_project_that_registers_nothing_has_a_silent_lifespan(uvicorn: Start, loop: str) -> None:
    """Without resources and receivers, the lifespan completes and leaves no line in the log."""
    with uvicorn("bare", "--loop", loop) as server:
        server.wait_until_serving()
        assert server.get("/") == Answer(200, {"hello": "world"})
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.noise() == []
        assert "django_asgi_lifespan" not in server.output()
        assert "unsupported" not in server.output()
        assert "Application startup complete." in server.output()
        assert "Application shutdown complete." in server.output()


@pytest.mark.parametrize("django_app", ["chain", "background"])
def test_dev_mode_has_nothing_to_say(
    uvicorn: Start, loop: str, django_app: str, dev_mode: dict[str, str]
) -> None:
    """Nothing is left unclosed, unawaited or unretrieved by a start, a request and a stop."""
    with uvicorn(django_app, "--loop", loop, TASK_GROUP="anyio", **dev_mode) as server:
        server.wait_until_serving()
        path = "/async/" if django_app == "chain" else "/put/one/"
        assert server.get(path).status == 200
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.noise() == []
        assert "django_asgi_lifespan INFO: " in server.output()
