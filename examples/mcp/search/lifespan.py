from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.contrib.flatpages.models import FlatPage
from django.db import connections
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from django_asgi_lifespan import mounted_application, resource

server = MCPServer("site")


@resource
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=settings.WEATHER_URL) as client:
        yield client


@server.tool()
async def weather(city: str) -> str:
    """Return the weather in a city."""
    answer = await http_client.get().get("/", params={"city": city})
    return answer.text


@asynccontextmanager
async def own_database_connections() -> AsyncGenerator[None]:
    async with ThreadSensitiveContext():
        try:
            yield
        finally:
            await sync_to_async(connections.close_all)()


@server.tool()
@own_database_connections()
async def find_pages(words: str) -> list[str]:
    """List the titles of the pages that contain these words."""
    return [page.title async for page in FlatPage.objects.filter(content__icontains=words)]


def make_mcp_application() -> Starlette:
    hosts = [f"{host}{port}" for host in settings.ALLOWED_HOSTS for port in ("", ":*")]
    return server.streamable_http_app(
        stateless_http=True,  # any worker answers any request
        transport_security=TransportSecuritySettings(allowed_hosts=hosts),
    )


mcp_application = mounted_application(
    factory=make_mcp_application, name="mcp", requires=[http_client]
)
