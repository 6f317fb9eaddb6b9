from collections.abc import AsyncIterator

import httpx


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="sunny")


async def fake_client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://fake") as client:
        yield client
