import pytest
from django.contrib.auth.models import Group
from django.test import AsyncClient, Client

from django_asgi_lifespan.testing import LifespanUnderTest
from observatory.fakes import fake_client
from observatory.lifespan import http_client

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.lifespan(overrides={http_client: fake_client}, only=[http_client]),
]


def test_page(lifespan: LifespanUnderTest, client: Client) -> None:
    Group.objects.create(name="astronomers")
    response = client.get("/")
    assert response.content == b"sunny, 1 groups"


@pytest.mark.asyncio  # or @pytest.mark.anyio
async def test_page_async(lifespan: LifespanUnderTest, async_client: AsyncClient) -> None:
    response = await async_client.get("/")
    assert response.content == b"sunny, 0 groups"


def test_the_client_itself(lifespan: LifespanUnderTest) -> None:
    assert lifespan.run(http_client.get().get("/")).text == "sunny"
