"""The tool that runs Django's own tests with our handler."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.django_suite.__main__ import KINDS, differences, replace_imports
from tools.test_versions import ROOT

PROJECT = """
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

urls = (path("", lambda request: HttpResponse(type(request).__module__)),)
from tools.django_suite.settings import ASGI_LIFESPAN
settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], ASGI_LIFESPAN=ASGI_LIFESPAN)
django.setup()

import asyncio
from tools.django_suite.clients import AsyncSuiteClient, SuiteClient, end_event_loop
from tools.django_suite.handlers import current
print(SuiteClient().get("/").text, current.requests, current.lent)
print(asyncio.run(AsyncSuiteClient().get("/")).text, current.requests, current.lent)
current.has_database = True
print(SuiteClient().get("/").text, current.requests, current.lent)
end_event_loop()
"""


def test_a_file_of_tests_imports_the_handler_from_here(tmp_path: Path) -> None:
    """In the place of Django, however it is imported there."""
    file = tmp_path / "tests.py"
    file.write_text(
        "from django.core.asgi import get_asgi_application\n"
        "from django.core.handlers.asgi import ASGIHandler, ASGIRequest\n"
        "from django.core.handlers.wsgi import WSGIRequest\n"
    )
    replace_imports(file)
    assert file.read_text() == (
        "from tools.django_suite.handlers import get_asgi_application\n"
        "from tools.django_suite.handlers import ASGIHandler, ASGIRequest\n"
        "from django.core.handlers.wsgi import WSGIRequest\n"
    )


def test_a_file_without_the_handler_is_an_error(tmp_path: Path) -> None:
    """Django may move its tests, and then nothing would be tested."""
    file = tmp_path / "tests.py"
    file.write_text("from django.core.handlers.wsgi import WSGIHandler\n")
    with pytest.raises(LookupError, match="does not import Django's ASGI handler"):
        replace_imports(file)


def test_each_test_has_to_end_as_with_django() -> None:
    """After as many requests. Only request threads may differ."""
    stock = {"a": ("passed", 2, 0), "b": ("skipped", 0, 0), "c": ("passed", 1, 0)}
    assert not differences(stock, {**stock, "a": ("passed", 2, 2)})
    ours = {"a": ("failure", 2, 0), "b": ("skipped", 0, 0), "c": ("passed", 0, 0), "d": ("x", 0, 0)}
    assert differences(stock, ours) == [
        "a: ('failure', 2) instead of ('passed', 2)",
        "c: ('passed', 0) instead of ('passed', 1)",
        "d: ('x', 0) instead of ('missing',)",
    ]


@pytest.mark.process
@pytest.mark.parametrize("kind", KINDS)
def test_a_client_reaches_the_handler_of_its_kind(kind: str, tmp_path: Path) -> None:
    """With request threads, unless the test has a transaction that the request has to share."""
    (tmp_path / "test_sqlite.py").write_text("")  # Django's settings
    done = subprocess.run(
        [sys.executable, "-c", PROJECT],
        env=os.environ
        | {"SUITE_KIND": kind, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    request = "django.core.handlers.asgi" if kind == "stock" else "django_asgi_lifespan.handler"
    lent = (1, 2, 2) if kind == "threads" else (0, 0, 0)
    expected = [f"{request} {number} {of_them}" for number, of_them in enumerate(lent, 1)]
    assert done.stdout.splitlines() == expected
