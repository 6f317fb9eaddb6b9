"""The example of an HTTP client, with aiohttp."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse

from docs.examples.conftest import Example, Serve, upstream


@pytest.mark.real_clock
async def test_all_requests_share_one_session(example: Example, serve: Serve) -> None:
    """It keeps its connection for the next request, and is closed with the lifespan."""
    recipe = example("aiohttp_session")

    async with upstream() as service:

        async def view(request: HttpRequest) -> HttpResponse:
            async with recipe.http_session.get().get(service.url) as answer:
                return HttpResponse(await answer.text())

        async with serve(view) as browser:
            assert [(await browser.get("/")).text for _ in range(3)] == ["hello"] * 3
            session = recipe.http_session.get()
            assert not session.closed
            assert (service.connections, service.open) == (1, 1)
    assert session.closed
