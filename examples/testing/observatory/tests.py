from django.contrib.auth.models import Group

from django_asgi_lifespan.testing import LifespanTestCase
from observatory.fakes import fake_client
from observatory.lifespan import http_client


class PageTests(LifespanTestCase):
    lifespan_overrides = {http_client: fake_client}

    def test_page(self) -> None:
        Group.objects.create(name="astronomers")
        response = self.client.get("/")
        self.assertContains(response, "sunny, 1 groups")

    async def test_page_async(self) -> None:
        response = await self.async_client.get("/")
        self.assertContains(response, "sunny, 0 groups")

    def test_the_client_itself(self) -> None:
        answer = self.lifespan.run(http_client.get().get("/"))
        self.assertEqual(answer.text, "sunny")
