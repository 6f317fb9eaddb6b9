"""The command of this package, as real processes that real OS signals stop."""

from __future__ import annotations

import importlib.metadata
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_asgi_lifespan.adapters import (
    call_handlers_in_thread,
    handle_os_signals,
    take_handlers_back,
)
from django_asgi_lifespan_granian import command
from testkit.stories import STARTED, STOPPED

from .conftest import Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such OS signals"),
]

TWIN = "django_asgi_lifespan_granian"

SPAWNING = """
import multiprocessing
from django_asgi_lifespan_granian.command import main

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
"""


def test_there_is_a_console_script() -> None:
    """It is the command."""
    from django_asgi_lifespan_granian.__main__ import main

    [script] = importlib.metadata.entry_points(group="console_scripts", name="granian-lifespan")
    assert script.load() is main


def test_workers_are_killed_after_a_while_by_default() -> None:
    """The option of granian's command has another default, and can be set as ever."""
    program = (
        "import sys\n"
        "from granian.cli import cli\n"
        "from django_asgi_lifespan_granian import command\n"
        "def entrypoint():\n"
        "    context = cli.make_context('x', sys.argv[1:], auto_envvar_prefix='GRANIAN')\n"
        "    print(context.params['workers_kill_timeout'])\n"
        "command.entrypoint = entrypoint\n"
        "command.main()"
    )
    for options, expected in (((), "30"), (("--workers-kill-timeout", "5"), "5")):
        done = subprocess.run(
            [sys.executable, "-c", program, "project:application", *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.strip() == expected


def test_os_signals_at_the_same_instant_stop_granian(granian: Start) -> None:
    """Under granian's own command the parent may hear none of them."""
    with granian("chain", "--workers", "2", program=TWIN) as server:
        server.wait_for("search open", times=2)
        for name in ("SIGTERM", "SIGINT") * 3:
            server.stop(name)
        assert server.wait() == 0
        assert server.stories() == [[*STARTED, *STOPPED]] * 2


def test_a_worker_that_is_faster_than_its_parent_is_no_failure(
    granian: Start, tmp_path: Path
) -> None:
    """A process manager sends all processes SIGTERM, and a reloader is slow to hear of it."""
    with granian("chain", "--reload", "--reload-paths", str(tmp_path), program=TWIN) as server:
        server.wait_for("search open")
        server.stop_group("SIGTERM")
        assert server.wait() == 0
        assert server.stories() == [[*STARTED, *STOPPED]]


def test_the_exit_code_of_granian_is_kept_where_it_was_not_told_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker is a fake that has ended with 0, as one does that alone gets SIGTERM."""
    monkeypatch.setattr(command, "_workers", [SimpleNamespace(exitcode=0)])
    with handle_os_signals([signal.SIGTERM], lambda number, frame: None):
        call_handlers_in_thread([signal.SIGTERM])
        assert command._exit_code(1) == 1
        signal.raise_signal(signal.SIGTERM)
        assert command._exit_code(1) == 0
        take_handlers_back()


def test_an_exit_code_that_is_noted_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is a fake, because granian's thread cannot be held before it notes the code."""
    exit_codes = iter([None, None, command.SHUTDOWN_FAILED])

    class Worker:
        exitcode = property(lambda self: next(exit_codes))

    monkeypatch.setattr(command, "_workers", [Worker()])
    assert command._exit_code(0) == 1


def test_hup_replaces_workers(granian: Start) -> None:
    """That signal is received, too."""
    with granian("chain", program=TWIN) as server:
        server.wait_for("search open")
        server.stop("SIGHUP")
        server.wait_for("search open", times=2)  # granian does not wait for it
        server.wait_for("pool closed")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.stories() == [[*STARTED, *STOPPED]] * 2


@pytest.mark.parametrize("options", [(), ("--reload", "--reload-paths")], ids=["", "reload"])
def test_a_stop_at_the_instant_of_a_restart(
    granian: Start, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Granian forgets a stop that comes before it has begun the restart."""
    paths = [str(tmp_path)] if options else []
    with granian("chain", *options, *paths, program=TWIN) as server:
        server.wait_for("search open")
        server.stop("SIGHUP")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert [story[-1] for story in server.stories()] == ["pool closed"] * len(server.pids())


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_workers_that_are_spawned_hear_os_signals(
    granian: Start, tmp_path: Path, stop: str
) -> None:
    """As on macOS, and from Python 3.14 on."""
    script = tmp_path / "spawning.py"
    script.write_text(SPAWNING)
    with granian("chain", "--workers", "2", program=str(script)) as server:
        server.wait_for("search open", times=2)
        server.stop(stop)
        assert server.wait() == 0
        assert server.stories() == [[*STARTED, *STOPPED]] * 2


def test_a_drain_delay_that_does_not_fit_is_an_error(granian: Start) -> None:
    """It shows the sum, and the time that is needed before a worker is killed."""
    with granian("chain", program=TWIN, DRAIN_DELAY="5") as server:
        assert server.wait() == 3
        assert "pool open" not in server.story()
        assert "Set --workers-kill-timeout to 55 or more" in server.output()
