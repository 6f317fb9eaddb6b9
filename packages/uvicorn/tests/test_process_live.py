"""The live server of tests: uvicorn in a thread, with the lifespan of the project."""

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
        ASGI_APPLICATION = "project.application"
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
        ROOT_URLCONF = "project"
        SECRET_KEY = "for tests only"
        USE_TZ = True
    """,
    "project.py": """
        from django.http import HttpResponse, StreamingHttpResponse
        from django.urls import path
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application

        log = []

        @resource
        async def word():
            log.append("opens")
            yield "real"
            log.append("closes")

        async def page(request):
            from django.contrib.auth.models import Group

            names = [group.name async for group in Group.objects.all()]
            return HttpResponse(f"{request.state['word']} {names}")

        async def events(request):
            async def lines():
                for number in range(2):
                    yield f"data: {word.get()} {number}\\n\\n"

            return StreamingHttpResponse(lines(), content_type="text/event-stream")

        urlpatterns = [path("page", page), path("events", events)]
        django = get_asgi_application()

        async def router(scope, receive, send):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.send", "text": scope["state"]["word"]})
                while (await receive())["type"] != "websocket.disconnect":
                    pass
            else:
                await django(scope, receive, send)

        application = LifespanApplication(router)
    """,
}

TESTS = """
    import urllib.request

    import project
    import pytest
    from django.contrib.auth.models import Group
    from websockets.sync.client import connect

    def read(url):
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.read().decode()

    @pytest.fixture
    def it_closes():
        yield
        assert project.log == ["opens", "closes"]

    @pytest.fixture(autouse=True)
    def log():
        project.log.clear()

    def test_page(it_closes, live_lifespan_server):
        Group.objects.create(name="astronomers")
        assert read(f"{live_lifespan_server.url}/page") == "real ['astronomers']"
        assert project.word.get() == "real"

    @pytest.mark.lifespan(overrides={project.word: "fake"})
    def test_stand_ins(live_lifespan_server):
        assert read(f"{live_lifespan_server.url}/events") == "data: fake 0\\n\\ndata: fake 1\\n\\n"

    @pytest.mark.lifespan(only=[])
    def test_a_part(live_lifespan_server):
        with pytest.raises(Exception, match=r"Add it: only=\\[..., word\\]"):
            project.word.get()
        assert project.log == []

    def test_websocket(it_closes, live_lifespan_server):
        with connect(f"{live_lifespan_server.ws_url}/") as client:
            assert client.recv(timeout=60) == "real"

    def fails():
        raise ValueError("no entry")
        yield

    @pytest.mark.lifespan(overrides={project.word: fails})
    def test_failed_startup(live_lifespan_server):
        raise AssertionError

    def fails_later():
        yield "fake"
        raise ValueError("no exit")

    @pytest.mark.lifespan(overrides={project.word: fails_later})
    def test_failed_shutdown(live_lifespan_server):
        pass
"""


def run(folder: Path, *plugins: str, **files: str) -> list[str]:
    """Return the lines that pytest prints."""
    for name, text in {**PROJECT, **{f"{name}.py": text for name, text in files.items()}}.items():
        (folder / name).write_text(textwrap.dedent(text))
    ours = ("django_asgi_lifespan", "django_asgi_lifespan_uvicorn")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider"]
        + [f"-p{plugin}" for plugin in (*ours, *plugins)],
        cwd=folder,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "COLUMNS": "200",
            "PYTHONPATH": str(folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return (done.stdout + done.stderr).splitlines()


def test_a_server_for_a_test(tmp_path: Path) -> None:
    """Pages, events and WebSockets, in the lifespan, with the rows that the test committed."""
    lines = run(tmp_path, "django", test_live=TESTS)
    text = "\n".join(lines)
    assert "5 passed" in lines[-1], text
    assert "2 errors" in lines[-1], text
    assert "StartupFailedError: word failed to start: ValueError: no entry" in text
    assert "ShutdownFailedError: word failed to stop: ValueError: no exit" in text
    assert 'raise ValueError("no entry")' in text


def test_a_server_without_pytest_django(tmp_path: Path) -> None:
    """The plugin does not need it."""
    test = """
        import django

        django.setup()

        import urllib.request

        def test_events(live_lifespan_server):
            url = f"{live_lifespan_server.url}/events"
            with urllib.request.urlopen(url, timeout=60) as response:
                assert response.read().startswith(b"data: real 0")
    """
    lines = run(tmp_path, test_live=test)
    assert lines[-1].startswith("1 passed"), "\n".join(lines)


def test_the_plugin_is_lean(tmp_path: Path) -> None:
    """It loads neither Django, uvicorn nor the resources of the project until a test needs it."""
    test = """
        import sys

        def test_modules():
            assert "django_asgi_lifespan_uvicorn.pytest_plugin" in sys.modules
            others = {"asgiref", "django", "uvicorn", "django_asgi_lifespan.declaration"}
            assert not others & sys.modules.keys()
    """
    lines = run(tmp_path, test_live=test)
    assert lines[-1].startswith("1 passed"), "\n".join(lines)
