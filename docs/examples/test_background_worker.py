"""The example of workers that take jobs from a stream."""

from __future__ import annotations

import anyio
import pytest
from django.http import HttpRequest, HttpResponse

from docs.examples.conftest import LIMIT, Example, Serve


@pytest.mark.real_clock
async def test_jobs_are_done_after_the_response(
    example: Example, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """All of them, those that are still waiting at the shutdown too; one that fails is logged."""
    recipe = example("background_worker")
    journal: list[str] = []
    answered, first_done = anyio.Event(), anyio.Event()

    async def greet() -> None:
        await answered.wait()
        journal.append("greeted")
        first_done.set()

    async def fail() -> None:
        journal.append("failing")
        raise ValueError("broken job")

    async def linger() -> None:
        await anyio.lowlevel.checkpoint()
        journal.append("lingered")

    async def view(request: HttpRequest) -> HttpResponse:
        await recipe.jobs.get().send(greet)
        return HttpResponse("accepted")

    async with serve(view) as browser:
        assert (await browser.get("/")).text == "accepted"
        assert journal == []
        answered.set()
        with anyio.fail_after(LIMIT):
            await first_done.wait()
        stream = recipe.jobs.get()
        for job in (fail, linger, linger, linger, linger):
            await stream.send(job)
    assert journal == ["greeted", "failing"] + ["lingered"] * 4
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "A job failed"
    ]
    with pytest.raises(anyio.ClosedResourceError):
        await stream.send(greet)
