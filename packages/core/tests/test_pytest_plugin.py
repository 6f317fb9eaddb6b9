"""The pytest plugin, in the tests of a project that has pytest-django, pytest-asyncio and anyio."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.measured]

DEADLINE = 120

PROJECT = {
    "pytest.ini": """
        [pytest]
        DJANGO_SETTINGS_MODULE = settings
        asyncio_default_fixture_loop_scope = function
    """,
    "settings.py": """
        import os

        INSTALLED_APPS = ["django_asgi_lifespan", "notes"]
        NAME = os.environ["DATABASE"]
        DATABASES = {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": NAME,
                "TEST": {"NAME": NAME},
            }
        }
        DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
        ROOT_URLCONF = "notes.urls"
        SECRET_KEY = "for tests only"
        USE_TZ = True
    """,
    "asgi.py": """
        from django_asgi_lifespan.asgi import get_asgi_application

        application = get_asgi_application()
    """,
    "notes/__init__.py": "",
    "notes/models.py": """
        from django.db import models

        class Note(models.Model):
            text = models.CharField(max_length=50)
    """,
    "notes/lifespan.py": """
        import asyncio
        from django_asgi_lifespan import resource

        @resource
        async def loop():
            from notes.models import Note
            await Note.objects.acreate(text="loop opens")
            yield asyncio.get_running_loop()
            await Note.objects.acreate(text="loop closes")

        @resource
        def word():
            from notes.models import Note
            Note.objects.create(text="word opens")
            yield "real"
            Note.objects.create(text="word closes")
    """,
    "notes/urls.py": """
        import asyncio
        from django.http import JsonResponse
        from django.urls import path
        from notes.lifespan import loop, word
        from notes.models import Note

        def answer(request, notes):
            state = sorted(request.state)
            return JsonResponse({"word": word.get(), "state": state, "notes": sorted(notes)})

        def sync_page(request):
            Note.objects.create(text="sync page")
            return answer(request, Note.objects.values_list("text", flat=True))

        async def async_page(request):
            assert loop.get() is asyncio.get_running_loop()
            await Note.objects.acreate(text="async page")
            return answer(request, [note.text async for note in Note.objects.all()])

        urlpatterns = [path("sync", sync_page), path("async", async_page)]
    """,
}

TRANSACTION = """
    import asyncio
    import pytest
    from notes.lifespan import loop, word
    from notes.models import Note

    pytestmark = pytest.mark.django_db

    FAKE = pytest.mark.lifespan(overrides={word: "fake"}, only=[loop, word])

    def check(first, second, value="real"):
        notes = ["loop opens", "test", *(["word opens"] if value == "real" else [])]
        expected = {"word": value, "state": ["loop", "word"]}
        assert first.json() == {**expected, "notes": ["async page", *notes]}
        assert second.json() == {**expected, "notes": sorted(["async page", "sync page", *notes])}

    def test_sync(lifespan, client):
        Note.objects.create(text="test")
        check(client.get("/async"), client.get("/sync"))
        assert lifespan.state == {"loop": lifespan.loop, "word": "real"}
        assert lifespan.run(Note.objects.acount()) == 5

    @FAKE
    def test_sync_marked(lifespan, client):
        Note.objects.create(text="test")
        check(client.get("/async"), client.get("/sync"), "fake")

    async def requests(client, value="real"):
        await Note.objects.acreate(text="test")
        check(await client.get("/async"), await client.get("/sync"), value)

    @pytest.mark.asyncio
    async def test_asyncio(lifespan, async_client):
        assert lifespan.loop is asyncio.get_running_loop()
        await requests(async_client)

    @FAKE
    @pytest.mark.asyncio(loop_scope="module")
    async def test_asyncio_in_the_loop_of_the_module(lifespan, async_client):
        await requests(async_client, "fake")

    @FAKE
    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_anyio(lifespan, async_client):
        await requests(async_client, "fake")

    @pytest.mark.asyncio
    async def test_application(lifespan, async_client):
        import httpx2
        from asgi import application

        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            await requests(client)

    @pytest.fixture
    def note():
        return Note.objects.create(text="test")

    def test_the_transaction_is_there_before_the_lifespan(lifespan, note, client, db):
        check(client.get("/async"), client.get("/sync"))

    def test_all_was_rolled_back():
        assert not Note.objects.exists()
"""


def run(
    folder: Path,
    test: str,
    *options: str,
    database: str = ":memory:",
    plugins: Sequence[str] = ("django", "asyncio", "anyio"),
) -> list[str]:
    """Return the lines that pytest prints for a file with these tests."""
    for name, text in {**PROJECT, "test_notes.py": test}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "--tb=short", "-pno:cacheprovider"]
    done = subprocess.run(
        [*command, *(f"-p{plugin}" for plugin in ("django_asgi_lifespan", *plugins)), *options],
        cwd=folder,
        env={
            **os.environ,
            "DATABASE": database,
            "COLUMNS": "200",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("database", [":memory:", "file"])
def test_everything_is_in_the_transaction_of_the_test(tmp_path: Path, database: str) -> None:
    """With every plugin that runs tests, in sync and async tests, views and resources."""
    lines = run(tmp_path, TRANSACTION, database=database)
    assert " 8 passed" in f" {lines[-1]}", "\n".join(lines)


def test_one_lifespan_may_last_for_a_module(tmp_path: Path) -> None:
    """The project's own fixtures of that scope may use it."""
    test = """
        import pytest
        from notes.lifespan import word

        pytestmark = pytest.mark.lifespan(only=[word], overrides={word: "fake"})
        seen = []

        @pytest.fixture(scope="module")
        def mine(lifespan):
            return word.get()

        def test_a(mine, lifespan):
            assert mine == word.get() == "fake"
            seen.append(lifespan)

        def test_b(lifespan):
            assert seen == [lifespan]
    """
    lines = run(tmp_path, test, "-o", "lifespan_scope=module")
    assert lines[-1].startswith("2 passed"), "\n".join(lines)


WIDE = """
    import pytest
    from notes.lifespan import word

    pytestmark = [
        pytest.mark.lifespan(only=[word], overrides={word: "fake"}),
        pytest.mark.django_db,
        pytest.mark.PLUGIN,
    ]
    seen = []

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    async def check(lifespan, client):
        from notes.models import Note
        assert word.get() == "fake"
        await Note.objects.acreate(text="test")
        assert (await client.get("/sync")).json()["notes"] == ["sync page", "test"]
        seen.append(lifespan)

    async def test_a(lifespan, async_client):
        await check(lifespan, async_client)

    async def test_b(lifespan, async_client):
        await check(lifespan, async_client)
        assert seen == [lifespan, lifespan]
"""


@pytest.mark.parametrize(
    "plugin", ["asyncio(loop_scope='module')", "asyncio(loop_scope='session')", "anyio"]
)
def test_asynchronous_tests_may_share_a_lifespan(tmp_path: Path, plugin: str) -> None:
    """Where their event loop is as wide. Each test has its own transaction."""
    lines = run(tmp_path, WIDE.replace("PLUGIN", plugin), "-olifespan_scope=module")
    assert lines[-1].startswith("2 passed"), "\n".join(lines)


def test_a_lifespan_is_not_wider_than_the_event_loop(tmp_path: Path) -> None:
    """The error names the option. So does that of a test that needs another event loop."""
    test = """
        import pytest
        from notes.lifespan import word

        pytestmark = pytest.mark.lifespan(only=[word], overrides={word: "fake"})

        def test_sync(lifespan):
            pass

        @pytest.mark.asyncio
        async def test_narrow(lifespan):
            raise AssertionError

        @pytest.mark.asyncio(loop_scope="module")
        async def test_other(lifespan):
            raise AssertionError
    """
    lines = run(tmp_path, test, "-o", "lifespan_scope=module")
    assert (
        "lifespan_scope is 'module', and the event loop of this test has the scope 'function'. "
        "Set lifespan_scope = function, or give the test a wider loop: "
        "@pytest.mark.asyncio(loop_scope='module'). [lifespan-scope]"
    ) in lines, "\n".join(lines)
    assert (
        "lifespan_scope is 'module', and the lifespan runs already, for tests in another event "
        "loop than that of this test. Set lifespan_scope = function, or keep such tests, and sync "
        "and async ones, apart. [lifespan-scope]"
    ) in lines
    assert "1 passed" in lines[-1]
    assert "2 errors" in lines[-1]


def test_a_lifespan_is_not_wider_than_the_backend_of_anyio(tmp_path: Path) -> None:
    """The error of pytest names the fixture."""
    lines = run(tmp_path, WIDE.replace("PLUGIN", "anyio"), "-olifespan_scope=session")
    assert "the module scoped fixture anyio_backend with a session scoped" in "\n".join(lines)


def test_an_unknown_scope_is_refused(tmp_path: Path) -> None:
    """With those that are known."""
    [line, *_] = run(tmp_path, "", "-o", "lifespan_scope=test", plugins=("django",))
    assert line == (
        "ERROR: lifespan_scope is 'test', and must be one of: function, class, module, package, "
        "session. [lifespan-scope]"
    )


def test_a_failure_shows_the_code_of_the_project(tmp_path: Path) -> None:
    """And few lines of ours. A wrong marker is told the right one."""
    test = """
        import pytest
        from notes.lifespan import word

        def fails():
            raise ValueError("no entry")
            yield

        failing = pytest.mark.lifespan(overrides={word: fails}, only=[word])

        @failing
        def test_sync(lifespan):
            raise AssertionError

        @failing
        @pytest.mark.asyncio
        async def test_async(lifespan):
            raise AssertionError

        @pytest.mark.lifespan("word")
        def test_a(lifespan):
            raise AssertionError

        @pytest.mark.lifespan(override={})
        def test_b(lifespan):
            raise AssertionError
    """
    lines = run(tmp_path, test, "--show-capture=no")
    output = "\n".join(lines)
    failures = [number for number, line in enumerate(lines) if line == "E   ValueError: no entry"]
    assert [lines[number - 2] for number in failures] == ["test_notes.py:6: in fails"] * 2, output
    message = "django_asgi_lifespan.errors.StartupFailedError: word failed to start: ValueError"
    assert output.count(f"E   {message}: no entry") == 2
    marker = (
        "The marker takes these keyword arguments alone: @pytest.mark.lifespan(overrides={resource:"
        " value}, only=[resource]). [lifespan-marker]"
    )
    assert lines.count(marker) == 2
    assert len(lines) < 100, output


def test_the_plugin_is_lean() -> None:
    """It loads neither Django nor another module of ours, until a fixture asks."""
    script = """if True:
        import sys
        import django_asgi_lifespan.pytest_plugin
        print(*sys.modules.keys() & {"asgiref", "django"})
        print(*sorted(name for name in sys.modules if name.startswith("django_asgi_lifespan.")))
    """
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().splitlines() == ["", "django_asgi_lifespan.pytest_plugin"]


def test_a_project_needs_no_other_plugin(tmp_path: Path) -> None:
    """Sync tests use Django's own client."""
    test = """
        import os
        import sys
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
        sys.path.insert(0, os.getcwd())
        import django
        django.setup()
        from django.conf import settings
        settings.MIDDLEWARE = ["django_asgi_lifespan.middleware.LifespanStateMiddleware"]

        import pytest
        from notes.lifespan import word

        @pytest.mark.lifespan(overrides={word: "fake"}, only=[word])
        def test_a(lifespan):
            assert word.get() == "fake"
            assert lifespan.state == {"word": "fake"}
    """
    lines = run(tmp_path, test, "-Wignore", plugins=())
    assert lines[-1].startswith("1 passed"), "\n".join(lines)


def test_strict(tmp_path: Path) -> None:
    """Fixtures and test cases say which things a test left behind."""
    test = """
        import asyncio
        import pytest
        from django_asgi_lifespan.testing import LifespanTestCase
        from notes.lifespan import word

        pytestmark = pytest.mark.lifespan(only=[word], overrides={word: "fake"})
        kept = []

        async def leave():
            kept.append(asyncio.create_task(asyncio.Event().wait(), name="work"))

        def test_a(lifespan):
            lifespan.run(leave())

        @pytest.mark.asyncio
        async def test_b(lifespan):
            await leave()

        class TestC(LifespanTestCase):
            lifespan_only = ()

            def test_c(self):
                self.lifespan.run(leave())
    """
    lines = run(tmp_path, test, "--lifespan-strict")
    message = "E   AssertionError: The test left behind: the task 'work' of Event.wait(). "
    assert len([line for line in lines if line.startswith(message)]) == 3, "\n".join(lines)
    assert run(tmp_path, test)[-1].startswith("3 passed")
