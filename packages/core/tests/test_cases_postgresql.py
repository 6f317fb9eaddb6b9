"""Django's test cases with the lifespan on a real PostgreSQL, and Django's runner with them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_pytest_plugin import PROJECT, TRANSACTION, run

pytest.importorskip("psycopg")
from testkit.services import PostgreSQL, short_folder

pytestmark = pytest.mark.process

SETTINGS = """
    INSTALLED_APPS = ["django_asgi_lifespan", "notes"]
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "HOST",
            "NAME": "postgres",
            "USER": "tester",
        }
    }
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
    ROOT_URLCONF = "notes.urls"
    SECRET_KEY = "for tests only"
    USE_TZ = True
"""

TESTS = """
    from django.db import transaction
    from django.test import override_settings
    from django_asgi_lifespan.testing import LifespanTestCase
    from notes.models import Note

    class Pages(LifespanTestCase):
        lifespan_strict = True

        @classmethod
        def setUpTestData(cls):
            Note.objects.create(text="data")

        def check(self, *answers):
            for answer in answers:
                self.assertEqual(answer.json()["notes"][:2], ["async page", "data"])

        def test_sync(self):
            done = []
            with self.captureOnCommitCallbacks(execute=True), self.assertNumQueries(4):
                answers = self.client.get("/async"), self.client.get("/sync")
                transaction.on_commit(lambda: done.append("committed"))
            self.check(*answers)
            self.assertEqual(done, ["committed"])

        async def test_async(self):
            self.check(await self.async_client.get("/async"), await self.async_client.get("/sync"))

        @override_settings(ROOT_URLCONF="notes.others")
        def test_settings(self):
            self.assertEqual(self.client.get("/other").content, b"other")

    class Others(LifespanTestCase):
        lifespan_scope = "class"

        def test_nothing_is_left(self):
            notes = {note.text for note in Note.objects.all()}
            self.assertEqual(notes, {"loop opens", "word opens"})

        test_still_nothing = test_nothing_is_left
"""

OTHERS = """
    from django.http import HttpResponse
    from django.urls import path

    urlpatterns = [path("other", lambda request: HttpResponse("other"))]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of these tests' own."""
    with short_folder() as folder, PostgreSQL(folder) as started:
        yield started


def test_the_plugin(tmp_path: Path, server: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is in the transaction of the test, and no connection is left open."""
    settings = SETTINGS.replace('"HOST",', f'"{server.folder}",')
    monkeypatch.setitem(PROJECT, "settings.py", settings)
    lines = run(tmp_path, TRANSACTION, "--lifespan-strict", "--create-db")
    assert " 8 passed" in f" {lines[-1]}", "\n".join(lines)


def test_the_runner_of_django(tmp_path: Path, server: PostgreSQL) -> None:
    """In two processes, with the tools of Django's test cases."""
    settings = SETTINGS.replace('"HOST",', f'"{server.folder}",')
    files = {"settings.py": settings, "tests.py": TESTS, "notes/others.py": OTHERS}
    for name, text in {**PROJECT, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "django", "test", "--parallel=2", "--settings=settings"]
    done = subprocess.run(
        [*command, "--noinput"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Ran 5 tests" in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout
    assert "Cloning test database" in done.stdout
