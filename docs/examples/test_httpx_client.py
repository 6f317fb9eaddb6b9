"""The example of an HTTP client, with httpx."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse

from docs.examples.conftest import Example, Serve, upstream


@pytest.mark.real_clock
async def test_all_requests_share_one_client(example: Example, serve: Serve) -> None:
    """It keeps its connection for the next request, and is closed with the lifespan."""
    recipe = example("httpx_client")

    async with upstream() as service:

        async def view(request: HttpRequest) -> HttpResponse:
            answer = await recipe.http_client.get().get(service.url)
            return HttpResponse(answer.text)

        async with serve(view) as browser:
            assert [(await browser.get("/")).text for _ in range(3)] == ["hello"] * 3
            client = recipe.http_client.get()
            assert not client.is_closed
            assert (service.connections, service.open) == (1, 1)
    assert client.is_closed
