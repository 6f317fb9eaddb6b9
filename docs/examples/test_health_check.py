"""The recipe that shows the checks of resources to django-health-check 4."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from django_asgi_lifespan import resource
from docs.examples.conftest import Example, Serve

PAGE = Path(__file__).parents[1] / "operations.md"


class Service:
    works: object = True

    async def ping(self) -> object:
        if isinstance(self.works, Exception):
            raise self.works
        return self.works

    def ping_in_a_thread(self) -> object:
        return self.works


CHECKS: dict[str, Callable[[Service], object]] = {
    "coroutine function": Service.ping,
    "function": Service.ping_in_a_thread,
    "function that returns an awaitable": lambda service: service.ping(),
}


@pytest.mark.real_clock
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
async def test_the_page_shows_the_check_of_a_resource(
    example: Example, serve: Serve, check: Callable[[Service], object]
) -> None:
    """It passes and fails with the open object that requests share."""
    pytest.importorskip("health_check")
    from health_check.views import HealthCheckView

    recipe = example("health_check")
    service = Service()

    @resource(check=check)
    async def redis() -> AsyncIterator[Service]:
        yield service

    view: Any = HealthCheckView.as_view(checks=[(recipe.ResourceCheck, {"resource": redis})])
    async with serve(view) as browser:
        answers = []
        for works in (True, False):
            service.works = works
            answer = await browser.get("/?format=json")
            answers.append((answer.status_code, answer.json()))
    failure = "Unavailable: the check returned False"
    assert answers == [(200, {"redis": "OK"}), (500, {"redis": failure})]


@pytest.mark.real_clock
async def test_the_page_does_not_show_the_reason_of_an_error(
    example: Example, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold a password, and is in the log."""
    pytest.importorskip("health_check")
    from health_check.views import HealthCheckView

    recipe = example("health_check")
    service = Service()
    service.works = OSError("no answer from redis://:secret@example")

    @resource(check=Service.ping)
    async def redis() -> AsyncIterator[Service]:
        yield service

    view: Any = HealthCheckView.as_view(checks=[(recipe.ResourceCheck, {"resource": redis})])
    async with serve(view) as browser:
        answer = await browser.get("/?format=json")
    assert (answer.status_code, answer.json()) == (500, {"redis": "Unknown Error: unknown error"})
    assert "no answer from redis" in caplog.text


def test_the_page_has_the_recipe() -> None:
    """Word for word, from its imports on."""
    recipe = Path(__file__).with_name("health_check.py").read_text()
    [block] = re.findall(
        r"<!-- docs/examples/health_check.py -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    assert recipe.endswith(block)
