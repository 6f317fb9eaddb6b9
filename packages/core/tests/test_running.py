"""The lifespan outside a server: in async code, in sync code, in commands and scripts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from django_asgi_lifespan import (
    Resource,
    ShutdownFailedError,
    StartupFailedError,
    get_state,
    resource,
    run_lifespan,
    run_lifespan_sync,
)
from django_asgi_lifespan.resources import registry
from django_asgi_lifespan.testing import LifespanAwareAsyncClient

DEADLINE = 60

Journal = list[str]


def declare(journal: Journal, *, enter: bool = True, leave: bool = True) -> Resource[str]:
    """Declare a resource that fails as asked."""

    @resource
    async def a() -> AsyncIterator[str]:
        if not enter:
            raise ValueError("no entry")
        journal.append("opens")
        yield "value"
        journal.append("closes")
        if not leave:
            raise ValueError("no exit")

    return a


async def test_async_code_runs_inside_the_lifespan(journal: Journal) -> None:
    """With the state, and ``.get()`` as in a view."""
    a = declare(journal)
    async with run_lifespan() as state:
        assert state == {"a": "value"}
        assert state is get_state()
        assert a.get() == "value"
        assert journal == ["opens"]
    assert journal == ["opens", "closes"]


async def test_an_exception_in_async_code_closes_everything_and_goes_on(journal: Journal) -> None:
    """Resources are not told of it: they did not fail."""
    declare(journal)
    with pytest.raises(KeyError, match="mine"):
        async with run_lifespan():
            raise KeyError("mine")
    assert journal == ["opens", "closes"]


async def test_failures_are_raised_in_async_code(journal: Journal) -> None:
    """Each phase has its own."""
    declare(journal, enter=False)
    with pytest.raises(StartupFailedError, match="no entry"):
        async with run_lifespan():
            pass
    registry._declared.clear()
    resource(_fails_to_close, name="b")
    with pytest.raises(ShutdownFailedError, match="no exit"):
        async with run_lifespan():
            pass


async def _fails_to_close() -> AsyncIterator[None]:
    yield
    raise ValueError("no exit")


def test_sync_code_runs_inside_the_lifespan(journal: Journal) -> None:
    """In a loop of another thread: ``.get()`` as in a sync view, ``run()`` for coroutines."""
    a = declare(journal)

    async def where() -> tuple[str, threading.Thread]:
        return a.get(), threading.current_thread()

    with run_lifespan_sync() as running:
        assert running.state == {"a": "value"}
        assert a.get() == "value"
        value, thread = running.run(where())
        assert value == "value"
        assert thread is not threading.current_thread()
    assert not thread.is_alive()
    assert journal == ["opens", "closes"]


def test_an_exception_in_sync_code_closes_everything_and_goes_on(journal: Journal) -> None:
    """Also one that a coroutine raised."""
    declare(journal)

    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), run_lifespan_sync() as running:
        running.run(fail())
    assert journal == ["opens", "closes"]


def test_failures_are_raised_in_sync_code(journal: Journal) -> None:
    """Each phase has its own. After one the thread has ended."""
    a = declare(journal, enter=False)
    with pytest.raises(StartupFailedError, match="no entry"), run_lifespan_sync():
        pass
    with a.override("stand-in"):
        resource(_fails_to_close, name="b")
        with pytest.raises(ShutdownFailedError, match="no exit"), run_lifespan_sync():
            pass
    assert "lifespan" not in [thread.name for thread in threading.enumerate()]


def test_a_failed_shutdown_does_not_hide_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""
    resource(_fails_to_close, name="b")
    with pytest.raises(KeyError, match="mine"), run_lifespan_sync():
        raise KeyError("mine")
    assert caplog.records[-1].getMessage() == (
        "The lifespan's shutdown failed: b failed to stop: ValueError: no exit"
    )


def test_an_interrupted_wait_cancels_the_coroutine(journal: Journal) -> None:
    """As Ctrl+C in a command does."""
    declare(journal)
    cancelled = threading.Event()

    async def hang() -> None:
        signal_here()
        try:
            await asyncio.sleep(DEADLINE)
        finally:
            cancelled.set()

    def signal_here() -> None:
        main = threading.main_thread().ident
        assert main is not None
        import signal

        signal.pthread_kill(main, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), run_lifespan_sync() as running:
        running.run(hang())
    assert cancelled.is_set()
    assert journal == ["opens", "closes"]


def test_a_thread_that_cannot_be_started_is_an_error(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a lifespan that was never begun."""
    declare(journal)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"), run_lifespan_sync():
        journal.append("block")
    assert journal == []


PROJECT = {
    "shop/__init__.py": "",
    "shop/lifespan.py": """
        from django_asgi_lifespan import resource

        @resource
        async def greeting():
            print("opens")
            yield "hello"
            print("closes")
    """,
    "shop/management/commands/greet.py": """
        from django.core.management.base import BaseCommand
        from django_asgi_lifespan import run_lifespan_sync
        from shop.lifespan import greeting

        async def greet(name):
            return f"{greeting.get()} {name}"

        class Command(BaseCommand):
            def handle(self, **options):
                with run_lifespan_sync() as running:
                    self.stdout.write(running.run(greet("from a command")))
    """,
    "settings.py": """
        INSTALLED_APPS = ["shop"]
        SECRET_KEY = "for tests only"
        USE_TZ = True
    """,
    "script.py": """
        import asyncio
        import django
        django.setup()
        from django_asgi_lifespan import get_state, run_lifespan

        async def main():
            async with run_lifespan():
                print(get_state()["greeting"], "from a script")

        asyncio.run(main())
    """,
}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [(["-m", "django", "greet"], "hello from a command"), (["script.py"], "hello from a script")],
    ids=["management command", "script"],
)
def test_it_runs_in_commands_and_scripts(tmp_path: Path, arguments: list[str], line: str) -> None:
    """Of a real project, whose ``lifespan.py`` is found by itself."""
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, "-u", *arguments],
        cwd=tmp_path,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.stdout.splitlines() == ["opens", line, "closes"], done.stderr


def test_the_test_client_has_an_empty_state_without_a_lifespan() -> None:
    """Which a test may fill."""
    client = LifespanAwareAsyncClient()
    assert client.state == {}
    assert client._base_scope(path="/")["state"] == {}
