from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_asgi_lifespan import run_lifespan_sync
from news.headlines import headline
from news.lifespan import http_client


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("topic")

    def handle(self, *args: Any, **options: Any) -> None:
        with run_lifespan_sync(only=[http_client]) as running:
            self.stdout.write(running.run(headline(options["topic"])))
