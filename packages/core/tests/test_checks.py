"""The system checks: each mistake is found with its id, and nothing is said where there is none."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.management import get_commands
from django.db import connections
from django.test import SimpleTestCase

from contract.helpers import python
from django_asgi_lifespan import checks, connection_checks
from django_asgi_lifespan.lifespans import lifespans

ROOT = Path(__file__).parents[3]
ASGI = """
from django_asgi_lifespan.asgi import get_asgi_application
application = get_asgi_application()
"""
LIFESPAN = """
from django_asgi_lifespan import resource
@resource
async def client():
    yield 1
"""


SCRIPT = """
import contextlib
import io
import re

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django_asgi_lifespan", "checked"],
    ROOT_URLCONF="checked.urls",
)
django.setup()
with contextlib.redirect_stderr(io.StringIO()) as stderr:
    call_command("migrate", skip_checks=False, verbosity=0)
print("migrated", *re.findall(r"[(](.*)[)] checked.lifespan cannot", stderr.getvalue()), sep="\\n")
try:
    call_command("check", tags=["lifespan"])
except Exception as error:
    print("failed:", type(error).__name__)
"""


class Project:
    """A project of one Django app, whose files a test writes."""

    def __init__(self, folder: Path, settings: Any) -> None:
        self.folder = folder / "checked"
        self.folder.mkdir()
        self.write("__init__", "")
        self.write("urls", "urlpatterns = []")
        self.settings = settings
        self.others: dict[str, Any] = {}

    def write(self, module: str, text: str) -> None:
        """Write a module of the project."""
        (self.folder / f"{module}.py").write_text(text)
        invalidate_caches()

    def check(self, *, on_purpose: bool = False, **settings: Any) -> list[CheckMessage]:
        """Return the findings of ``manage.py check``, or of ``--tag lifespan`` after it."""
        self.settings.ASGI_LIFESPAN = settings
        apps = ["django_asgi_lifespan", "checked"]
        others = {"INSTALLED_APPS": apps, "ROOT_URLCONF": "checked.urls", **self.others}
        with SimpleTestCase().settings(**others):
            get_commands.cache_clear()
            return run_checks(tags=["lifespan"] if on_purpose else None)

    def only(self, **options: Any) -> tuple[str, str]:
        """Return id and text of the only finding, which has a hint."""
        [finding] = self.check(**options)
        assert finding.hint
        return str(finding.id).rpartition(".")[2], finding.msg


@pytest.fixture
def project(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with a resource, an application of ours, and a ``runserver`` of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lifespans, "gates", WeakSet())
    made = Project(tmp_path, settings)
    made.write("lifespan", LIFESPAN)
    made.write("asgi", ASGI)
    commands = tmp_path / "checked" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "runserver.py").touch()
    yield made
    for name in [name for name in sys.modules if name.partition(".")[0] == "checked"]:
        del sys.modules[name]
    get_commands.cache_clear()


def test_a_project_without_a_mistake_is_told_nothing(project: Project) -> None:
    """Its application is found beside the URLs."""
    assert not project.check()
    assert not project.check(on_purpose=True)


def test_a_project_that_registers_nothing_needs_no_application(project: Project) -> None:
    """The package may be installed before it is used."""
    project.write("lifespan", "")
    project.write("asgi", "1 / 0")
    (project.folder / "management" / "commands" / "runserver.py").unlink()
    assert not project.check(AUTODISCOVER=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"SHUTDOWN_TIMOUT": 5}, "Did you mean 'SHUTDOWN_TIMEOUT'?"),
        ({"AUTODISCOVER": ["chekced"]}, "Did you mean 'checked'?"),
        ({"NAMES": {"checked.lifespan.clent": "x"}}, "Did you mean 'checked.lifespan.client'?"),
    ],
)
def test_a_wrong_setting_is_an_error(project: Project, given: dict[str, Any], message: str) -> None:
    """In every command, because only the author of the settings can have meant something else."""
    [finding] = project.check(**given)
    assert finding.is_serious()
    number, text = project.only(**given)
    assert number == "E001"
    assert message in text


TWICE = LIFESPAN + "@resource(name='client')\ndef other():\n    yield 2\n"


def with_option(option: str) -> str:
    """Return the module with an option of its resource."""
    return LIFESPAN.replace("@resource", f"@resource({option})")


BROKEN = [
    ("lifespan", "import nothing_at_all", "W001", "checked.lifespan cannot be imported"),
    ("lifespan", with_option("name='a b'"), "W001", "'a b'"),
    ("lifespan", TWICE, "W002", "Two resources are named 'client'"),
    ("lifespan", with_option("requires=['x']"), "W002", "requires 'x'"),
    ("lifespan", with_option("requires=['client']"), "W002", "circle: client requires client"),
    ("asgi", "1 / 0", "W003", "checked.asgi cannot be imported: ZeroDivisionError"),
    ("asgi", "application = None", "W004", "checked.asgi makes no application with a lifespan"),
]


@pytest.mark.parametrize(("module", "text", "number", "message"), BROKEN)
def test_a_broken_module_is_a_warning_and_an_error_where_it_is_asked_for(
    project: Project, module: str, text: str, number: str, message: str
) -> None:
    """Then ``migrate`` still runs, and a pipeline that runs ``check --tag lifespan`` fails."""
    project.write(module, text)
    [finding] = project.check()
    assert not finding.is_serious()
    assert project.only() == (number, finding.msg)
    assert message in finding.msg
    [finding] = project.check(on_purpose=True)
    assert finding.is_serious()


def test_the_setting_names_the_application(project: Project) -> None:
    """Wherever it is. Without the setting and without asgi.py there is none."""
    (project.folder / "asgi.py").rename(project.folder / "serve.py")
    number, message = project.only()
    assert number == "W004"
    assert message == "No asgi.py was found, so nothing would open this: client."
    project.others["ASGI_APPLICATION"] = "checked.serve.application"
    assert not project.check()
    project.others["ASGI_APPLICATION"] = "checked.serve.app"
    assert project.only()[0] == "W003"


def test_the_module_of_urls_need_not_have_a_name(project: Project) -> None:
    """Django takes a list of URLs as well, which leads to no asgi.py."""
    project.others["ROOT_URLCONF"] = ()
    assert project.only()[0] == "W004"


def test_an_adapter_that_cannot_be_used_is_an_error(project: Project) -> None:
    """It is a setting, too."""
    [finding] = project.check(ADAPTERS=["no_such_adapter"])
    assert finding.is_serious()
    number, message = project.only(ADAPTERS=["no_such_adapter"])
    assert number == "E002"
    assert message.startswith("The adapter no_such_adapter cannot be imported")


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
def test_a_resource_may_not_take_longer_than_all(project: Project, phase: str) -> None:
    """The limit of the whole phase cancels it before."""
    project.write("lifespan", with_option(f"{phase}_timeout=30"))
    setting = f"{phase.upper()}_TIMEOUT"
    number, message = project.only(**{setting: 20})
    assert number == "W006"
    assert message == (
        f"client (checked.lifespan.client) may take 30 s for its {phase}, and the whole {phase} "
        f"may take 20 s. It would be cancelled earlier than it says."
    )
    assert not project.check(**{setting: 30})
    assert not project.check(**{setting: None})


@pytest.mark.parametrize(
    ("delay", "timeout", "found"),
    [(10, 20, True), (9.9, 20, False), (30, None, True), (5, None, False), (0, 60, False)],
)
def test_the_delay_and_the_shutdown_leave_requests_some_time(
    project: Project, delay: float, timeout: float | None, found: bool
) -> None:
    """Of that which Kubernetes and gunicorn leave by default."""
    findings = project.check(DRAIN_DELAY=delay, SHUTDOWN_TIMEOUT=timeout)
    assert [each.id for each in findings] == ["django_asgi_lifespan.W009"] * found


@pytest.mark.parametrize("age", [60, None])
def test_persistent_connections_do_not_persist_under_asgi(
    project: Project, monkeypatch: pytest.MonkeyPatch, age: int | None
) -> None:
    """Each request has a thread of its own, and a connection belongs to a thread."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", age)
    number, message = project.only()
    assert number == "W007"
    assert message.startswith(f"DATABASES['default'] has CONN_MAX_AGE={age}. Under ASGI")


@pytest.mark.parametrize(
    ("threads", "database", "expected"),
    [
        (None, {}, ""),
        (None, {"CONN_MAX_AGE": 60}, "W007"),
        (16, {}, "I001"),
        (16, {"OPTIONS": {"pool": True}}, ""),
        (16, {"ENGINE": "django.db.backends.dummy"}, ""),
        (16, {"CONN_MAX_AGE": None}, "W008"),
        (16, {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}, ""),
    ],
)
def test_request_threads_and_the_settings_of_a_database_belong_together(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    threads: int | None,
    database: dict[str, Any],
    expected: str,
) -> None:
    """The threads also in a project that declares nothing."""
    settings = connections.settings["default"]
    monkeypatch.setitem(connections.settings, "default", {**settings, **database})
    for alone in (False, True):
        if alone:
            monkeypatch.setattr(checks, "registered", str)
        findings = project.check(REQUEST_THREADS=threads)
        is_silent = alone and threads is None
        numbers = [finding.id[-4:] for finding in findings]
        assert numbers == ([expected] if expected and not is_silent else [])


@pytest.mark.parametrize(
    ("found", "given", "remedy"),
    [
        ("django.core", {}, "[uvicorn]"),
        ("django.contrib.staticfiles", {}, "[uvicorn]"),
        ("daphne", {"ADAPTERS": None}, "[daphne]"),
        ("daphne", {}, None),  # its adapter is installed
        ("somebody.elses", {}, None),
    ],
)
def test_a_runserver_without_a_lifespan_is_named(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    found: str,
    given: dict[str, Any],
    remedy: str | None,
) -> None:
    """Each with the adapter that gives it one."""
    (project.folder.parent / "django_asgi_lifespan_daphne").mkdir()
    monkeypatch.setattr(checks, "get_commands", lambda: {"runserver": found})
    findings = project.check(**given)
    assert [finding.id for finding in findings] == ["django_asgi_lifespan.W005"] * bool(remedy)
    assert all(found in finding.msg for finding in findings)
    assert all(remedy in str(finding.hint) for finding in findings if remedy)


def test_a_command_runs_although_a_module_is_broken(project: Project, tmp_path: Path) -> None:
    """It prints the warning. ``check --tag lifespan`` fails."""
    project.write("lifespan", "1 / 0")
    lines = python(SCRIPT, tmp_path)
    assert "migrated" in lines
    assert lines.count("django_asgi_lifespan.W001") == 1
    assert lines[-1] == "failed: SystemCheckError"


def test_the_documentation_lists_every_check() -> None:
    """With its id, in one table."""
    table = (ROOT / "docs" / "operations.md").read_text()
    listed = re.findall(r"^\| `(django_asgi_lifespan\.\w+)` \|", table, re.MULTILINE)
    files = (checks.__file__, connection_checks.__file__)
    source = "".join(Path(file).read_text() for file in files)
    numbers = {*re.findall(r"\b[EIW]\d{3}\b", source)}
    assert listed == [f"django_asgi_lifespan.{number}" for number in sorted(numbers)]
