"""The newsroom, whose command and tasks use a resource outside of a server."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testkit.client import HOST
from testkit.processes import start
from testkit.services import redis, short_folder

pytestmark = pytest.mark.process

HERE = Path(__file__).parent


class News(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"news: {self.path}".encode())


@contextmanager
def news() -> Generator[str]:
    """Yield the URL of a service that has news."""
    with HTTPServer((HOST, 0), News) as service:
        Thread(target=service.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://{HOST}:{service.server_port}"
        service.shutdown()


def test_a_command_uses_a_resource() -> None:
    """It is open while the command runs."""
    with (
        news() as url,
        start(
            [sys.executable, "manage.py", "headline", "space"],
            cwd=HERE,
            environment={"NEWS_URL": url},
        ) as command,
    ):
        assert command.wait() == 0
        assert "\nnews: /?topic=space\nLifespan shutdown" in command.output()


ASK = """
import newsroom.celery
import django
django.setup()
from news.tasks import fetch_headline
print(fetch_headline.delay("space").get(timeout=60))
"""


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_task_of_celery_uses_a_resource(pool: str) -> None:
    """It closes when the worker stops."""
    celery = [sys.executable, "-m", "celery", "--app", "newsroom.celery", "worker"]
    celery += ["--pool", pool, "--concurrency", "1", "--loglevel", "info"]
    with short_folder() as folder, redis(folder) as url, news() as news_url:
        environment = {
            "REDIS_URL": url.replace("unix://", "redis+socket://"),
            "NEWS_URL": news_url,
        }
        with start(celery, cwd=HERE, environment=environment) as worker:
            worker.wait_for_output("ready")
            with start([sys.executable, "-c", ASK], cwd=HERE, environment=environment) as asking:
                assert asking.wait() == 0
                assert asking.output() == "news: /?topic=space\n"
            worker.stop("SIGTERM")
            assert worker.wait() == 0
            output = worker.output()
            assert output.index("http_client started") < output.index("http_client stopped")


FILL = """
from django.core.management import call_command
from news.db_tasks import fetch_headline
call_command("migrate", verbosity=0)
fetch_headline.enqueue("space")
"""
SHOW = """
from django_tasks_db.models import DBTaskResult
print(DBTaskResult.objects.get().return_value)
"""


def test_a_task_of_django_uses_a_resource(tmp_path: Path) -> None:
    """It closes when the worker stops."""
    with news() as url:
        environment = {"DATABASE_NAME": str(tmp_path / "database"), "NEWS_URL": url}

        def run(code: str) -> str:
            command = [sys.executable, "manage.py", "shell", "-c", code]
            with start(command, cwd=HERE, environment=environment) as shell:
                assert shell.wait() == 0
                return shell.output()

        run(FILL)
        command = [sys.executable, "manage.py", "task_worker", "--no-startup-delay"]
        with start(command, cwd=HERE, environment=environment) as worker:
            worker.wait_for_output("state=SUCCESSFUL")
            worker.stop("SIGTERM")
            assert worker.wait() == 0
            output = worker.output()
            assert output.index("http_client started") < output.index("http_client stopped")
        assert "news: /?topic=space" in run(SHOW)
