"""The live server of Channels in the tests of a project: daphne in a process, with the lifespan."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

PROJECT = {
    "settings.py": """
        import multiprocessing
        import os

        multiprocessing.set_start_method(os.environ["START_METHOD"], force=True)

        ALLOWED_HOSTS = ["example.org"]
        ASGI_APPLICATION = "project.application"
        DATABASES = {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": "database",
                "TEST": {"NAME": "test_database"},
            }
        }
        INSTALLED_APPS = [
            "daphne",
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.staticfiles",
        ]
        ROOT_URLCONF = "project"
        SECRET_KEY = "for tests only"
        STATIC_URL = "/static/"
        USE_TZ = True
    """,
    "project.py": """
        import os

        from channels.routing import ProtocolTypeRouter
        from django.http import HttpResponse
        from django.urls import path
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application

        django = get_asgi_application()

        from channels.generic.websocket import AsyncWebsocketConsumer

        def write(line):
            with open("journal", "a") as journal:
                journal.write(f"{line}\\n")

        @resource
        async def word():
            write("opens")
            yield "real"
            write("closes")

        async def page(request):
            from django.contrib.auth.models import Group

            names = [group.name async for group in Group.objects.all()]
            return HttpResponse(f"{request.state['word']} {names}")

        class Consumer(AsyncWebsocketConsumer):
            async def connect(self):
                await self.accept()
                await self.send(word.get())

            async def disconnect(self, code):
                write(f"left by {code} with {word.get()}")

        urlpatterns = [path("page", page)]
        router = ProtocolTypeRouter({"http": django, "websocket": Consumer.as_asgi()})
        application = router if os.environ["ROUTER"] else LifespanApplication(router)
    """,
}

TESTS = """
    import urllib.request

    import project
    from django.contrib.auth.models import Group
    from django_asgi_lifespan_daphne.live import LifespanLiveServerTestCase
    from websockets.sync.client import connect

    kept = []

    class Pages(LifespanLiveServerTestCase):
        def test_page(self):
            Group.objects.create(name="astronomers")
            with urllib.request.urlopen(f"{self.live_server_url}/page", timeout=60) as response:
                self.assertEqual(response.read().decode(), "real ['astronomers']")

        def test_websocket(self):
            kept.append(connect(f"{self.live_server_ws_url}/"))
            self.assertEqual(kept[0].recv(timeout=60), "real")

    class StandIns(LifespanLiveServerTestCase):
        lifespan_overrides = {project.word: "fake"}

        def test_page(self):
            with urllib.request.urlopen(f"{self.live_server_url}/page", timeout=60) as response:
                self.assertEqual(response.read().decode(), "fake []")
"""

FAILURES = """
    import threading

    import project
    from django_asgi_lifespan_daphne.live import LifespanLiveServerTestCase

    def fails():
        raise ValueError("no entry")
        yield

    def fails_later():
        yield "fake"
        raise ValueError("no exit")

    class Startup(LifespanLiveServerTestCase):
        lifespan_overrides = {project.word: fails}

        def test(self):
            raise AssertionError

    class Shutdown(LifespanLiveServerTestCase):
        lifespan_overrides = {project.word: fails_later}

        def test(self):
            pass

    def leaves_a_thread():
        threading.Thread(target=threading.Event().wait, daemon=False).start()
        yield "fake"

    class Thread(LifespanLiveServerTestCase):
        lifespan_overrides = {project.word: leaves_a_thread}

        def test(self):
            pass

    class Port(LifespanLiveServerTestCase):
        host = "192.0.2.1"

        def test(self):
            raise AssertionError

    class Process(LifespanLiveServerTestCase):
        static_wrapper = divmod

        def test(self):
            raise AssertionError

    class SetUp(LifespanLiveServerTestCase):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            raise KeyError("after the server")

        def test(self):
            raise AssertionError
"""

DJANGO = ("django", "test", "--noinput")
PYTEST = ("pytest", "-q", "-pno:cacheprovider", "-pdjango", "tests.py")


def run(
    folder: Path,
    tests: str,
    *command: str,
    start: str = "fork",
    router: str = "",
) -> str:
    """Return the output of the tests."""
    for name, text in {**PROJECT, "tests.py": tests}.items():
        (folder / name).write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(folder),
            "ROUTER": router,
            "START_METHOD": start,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("command", "options", "passed"),
    [
        (DJANGO, {"start": "fork"}, "\nOK\n"),
        (DJANGO, {"start": "spawn"}, "\nOK\n"),
        (PYTEST, {"start": "fork", "router": "outermost"}, "\n3 passed"),
        (PYTEST, {"start": "forkserver"}, "\n3 passed"),
    ],
    ids=["Django", "Django, spawn", "pytest, router outermost", "pytest, forkserver"],
)
def test_a_server_for_a_class_of_tests(
    tmp_path: Path, command: tuple[str, ...], options: dict[str, str], passed: str
) -> None:
    """The lifespan is in its process, and ends when all tests have run."""
    output = run(tmp_path, TESTS, *command, **options)
    assert passed in output
    journal = (tmp_path / "journal").read_text().splitlines()
    assert journal[:3] == ["opens", "left by 1012 with real", "closes"], output
    assert journal[3:] == []


def test_failures_are_errors_of_the_class(tmp_path: Path) -> None:
    """With the reason. No process is left, although the class itself may fail after the start."""
    output = run(tmp_path, FAILURES, *DJANGO)
    assert "FAILED (errors=6)" in output
    for line in (
        "StartupFailedError: word failed to start: ValueError: no entry",
        "ShutdownFailedError: word failed to stop: ValueError: no exit",
        "ShutdownFailedError: The server ended with exit code 1. Its log has the reason.",
        "StartupFailedError: The server ended with exit code 1. Its log has the reason.",
        "StartupFailedError: TypeError: divmod",
        "KeyError: 'after the server'",
    ):
        assert line in output, output
    assert (tmp_path / "journal").read_text().splitlines() == ["opens", "closes"]
