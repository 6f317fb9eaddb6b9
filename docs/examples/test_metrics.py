"""The collector that shows open resources to Prometheus."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse

from django_asgi_lifespan import resource
from docs.examples.conftest import Example, Serve

PAGE = Path(__file__).parents[1] / "observability.md"


@pytest.mark.real_clock
async def test_a_view_shows_the_open_resources(example: Example, serve: Serve) -> None:
    """Of this worker. Without a lifespan there are none."""
    import prometheus_client

    example("metrics")

    @resource
    async def stock() -> AsyncIterator[int]:
        yield 3

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(prometheus_client.generate_latest())

    line = 'lifespan_resource_open{name="stock"} 1.0\n'
    assert line not in prometheus_client.generate_latest().decode()
    async with serve(view) as browser:
        assert line in (await browser.get("/")).text


def test_the_page_has_the_recipe() -> None:
    """Word for word, from its imports on."""
    recipe = Path(__file__).with_name("metrics.py").read_text()
    [block] = re.findall(
        r"<!-- docs/examples/metrics.py -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    assert recipe.endswith(block)
