"""The end of a server's process."""

from __future__ import annotations

import asyncio
import copyreg
import functools
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from typing import Any

import pytest

from django_asgi_lifespan.adapters import (
    STARTUP_FAILURE,
    call_handlers_in_thread,
    exit_despite_threads,
    handle_os_signals,
    has_heard,
    in_main_thread,
    note_spawned,
    reloader_child,
    stop_signals,
    take_handlers_back,
    watch_supervisor,
)

DEADLINE = 30.0

logger = logging.getLogger("tests")


def run(script: str) -> tuple[int, str]:
    """Return the exit code and the output of a process that ran *script*, and of its children."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.process
def test_a_thread_does_not_keep_the_process_from_ending() -> None:
    """The exit code is the one that was asked for, and the log names the thread."""
    script = """if True:
        import logging, threading
        from django_asgi_lifespan.adapters import exit_despite_threads
        logging.basicConfig(format="%(message)s")
        threading.Thread(target=threading.Event().wait, name="stuck").start()
        threading.Thread(target=threading.Event().wait, name="harmless", daemon=True).start()
        exit_despite_threads(logging.getLogger(), after=0.1, code=3)
    """
    assert run(script) == (
        3,
        (
            "The process ends without its threads, which go on: stuck. End them at the shutdown. "
            "[lifespan-threads]\n"
        ),
    )


@pytest.mark.process
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "state",
    [
        "sys.{stream} = None",
        "sys.{stream}.close()",
        "read, write = os.pipe(); os.close(read); os.dup2(write, sys.{stream}.fileno())",
        """read, write = os.pipe()
        os.set_blocking(write, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(write, bytes(4096)):
                pass
        os.set_blocking(write, True)
        os.dup2(write, sys.{stream}.fileno())""",
    ],
    ids=["none", "closed", "a pipe without a reader", "a full pipe"],
)
def test_a_process_ends_whatever_has_become_of_its_output(stream: str, state: str) -> None:
    """The log is written to that stream."""
    script = f"""if True:
        import contextlib, logging, os, sys, threading
        from django_asgi_lifespan.adapters import exit_despite_threads
        logging.basicConfig(stream=sys.{stream})
        {state.format(stream=stream)}
        threading.Thread(target=threading.Event().wait, name="stuck").start()
        exit_despite_threads(logging.getLogger(), after=0.1, code=3)
    """
    code, _ = run(script)
    assert code == 3


@pytest.mark.process
def test_exit_handlers_have_all_the_time_that_they_need() -> None:
    """Only threads are not waited for."""
    script = """if True:
        import atexit, logging, threading
        from django_asgi_lifespan.adapters import exit_despite_threads
        def last():
            threading.Event().wait(0.5)
            print("done")
        atexit.register(last)
        exit_despite_threads(logging.getLogger(), after=0.1)
    """
    assert run(script) == (0, "done\n")


@pytest.mark.process
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_os_signals_do_not_cut_the_end_short(name: str) -> None:
    """Neither in the exit handlers nor in the objects that Python deletes after them."""
    script = f"""if True:
        import atexit, logging, os, signal
        from django_asgi_lifespan.adapters import exit_despite_threads
        class Last:
            def __del__(self, kill=os.kill, pid=os.getpid(), say=print):
                kill(pid, signal.{name})
                say("deleted")
        last = Last()
        atexit.register(os.kill, os.getpid(), signal.{name})
        exit_despite_threads(logging.getLogger(), after=60)
    """
    assert run(script) == (0, "deleted\n")


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="there, supervisors are not watched")
def test_a_worker_stops_with_its_supervisor() -> None:
    """Even if that one is killed."""
    script = """if True:
        import asyncio, logging, multiprocessing, os, signal
        from django_asgi_lifespan.adapters import watch_supervisor
        async def serve():
            stopped = asyncio.Event()
            logging.basicConfig(format="%(message)s")
            # On a busy machine asyncio's debug mode calls a step slow.
            logging.getLogger("asyncio").setLevel(logging.ERROR)
            with watch_supervisor(logging.getLogger(), stopped.set):
                os.kill(os.getppid(), signal.SIGKILL)
                await stopped.wait()
            print("stopped")
        def work():
            asyncio.run(serve())
        multiprocessing.get_context("fork").Process(target=work).start()
    """
    code, output = run(script)
    assert code == -9
    said, stopped = output.splitlines()
    assert said.startswith("The supervisor [")
    assert said.endswith("] has ended, and so does this worker.")
    assert stopped == "stopped"


# The same without processes of their own, in which no coverage is measured.


def test_threads_that_go_on_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``os._exit()`` is a fake, because it would end the tests."""
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()
    monkeypatch.setattr(os, "_exit", codes.put)
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="stuck")
    thread.start()
    try:
        exit_despite_threads(logger, after=0.01, code=STARTUP_FAILURE)
        assert codes.get(timeout=DEADLINE) == STARTUP_FAILURE
    finally:
        release.set()
        thread.join()
    assert "stuck" in caplog.messages[0]


async def test_a_process_without_a_supervisor_watches_none() -> None:
    """There is nothing to end either."""
    with watch_supervisor(logger, lambda: pytest.fail("nothing has ended")):
        await asyncio.sleep(0)


def test_os_signals_are_given_back() -> None:
    """To the handlers that were there, unless somebody else has taken them meanwhile."""
    received: list[int] = []

    def before(number: int, frame: object) -> None:
        raise AssertionError("it is another one's turn")

    def taken(number: int, frame: object) -> None:
        raise AssertionError("it was not called")

    originals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        signal.signal(signal.SIGTERM, before)
        with handle_os_signals(originals, lambda number, frame: received.append(number)):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            signal.signal(signal.SIGINT, taken)
        assert received == [signal.SIGTERM, signal.SIGINT]
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGINT) is taken
    finally:
        for number, handler in originals.items():
            signal.signal(number, handler)


def test_another_thread_than_the_main_one_handles_no_os_signals() -> None:
    """Python would raise an error."""
    before = signal.getsignal(signal.SIGTERM)
    found: list[object] = []

    def serve() -> None:
        with handle_os_signals([signal.SIGTERM], lambda number, frame: None):
            found.extend((in_main_thread(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert found == [False, before]
    assert in_main_thread()


@pytest.mark.skipif(sys.platform == "win32", reason="there, nothing changes")
def test_a_thread_calls_handlers() -> None:
    """One after the other, and the main thread again after a fork."""
    threads: queue.SimpleQueue[str] = queue.SimpleQueue()
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG)

    def handle(number: int, frame: object) -> None:
        threads.put(threading.current_thread().name)

    with handle_os_signals(numbers[:2], handle), handle_os_signals([signal.SIGWINCH], handle):
        call_handlers_in_thread(numbers)  # nothing handles the last one
        call_handlers_in_thread(numbers)
        assert not has_heard(*numbers)
        signal.raise_signal(signal.SIGUSR1)
        assert has_heard(signal.SIGUSR2, signal.SIGUSR1)
        assert not has_heard(signal.SIGUSR2)
        assert threads.get(timeout=DEADLINE) == "OS signals"
        signal.raise_signal(signal.SIGWINCH)  # another one, which the main thread handles
        assert threads.get(timeout=DEADLINE) == "MainThread"
        signal.raise_signal(signal.SIGUSR1)
        assert threads.get(timeout=DEADLINE) == "OS signals"
        take_handlers_back()
        assert not has_heard(*numbers)
        signal.raise_signal(signal.SIGUSR1)
        assert threads.get(timeout=DEADLINE) == "MainThread"
    assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL


@pytest.mark.parametrize("prepare", [functools.partial(print, "prepared"), None])
def test_a_worker_is_noted_before_it_is_spawned(
    prepare: Callable[[], object] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the parent process. The worker then calls a function before it imports anything else."""
    noted: list[SpawnProcess] = []
    note_spawned(noted.append, prepare=prepare)
    reduce: Any = copyreg.dispatch_table.pop(SpawnProcess)  # which pickle would call
    worker = SpawnProcess(name="worker")
    made, arguments, state = reduce(worker)
    assert noted == [worker]
    assert capsys.readouterr().out == ""
    there = made(*arguments)
    assert type(there) is SpawnProcess
    assert state["_name"] == "worker"
    assert capsys.readouterr().out == ("" if prepare is None else "prepared\n")


def test_a_process_of_a_forked_worker_is_none_of_the_parents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not noted, and nothing is called in it."""
    noted: list[SpawnProcess] = []
    note_spawned(noted.append, prepare=functools.partial(noted.clear))
    reduce: Any = copyreg.dispatch_table.pop(SpawnProcess)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    _, arguments, _ = reduce(SpawnProcess())
    assert arguments == (SpawnProcess, None)
    assert noted == []


class Worker(SpawnProcess):
    """A worker that does more than its base class."""


def test_a_worker_has_the_class_that_the_note_gives_it() -> None:
    """In its own process, too."""
    note_spawned(lambda worker: setattr(worker, "__class__", Worker))
    reduce: Any = copyreg.dispatch_table.pop(SpawnProcess)
    made, arguments, _ = reduce(SpawnProcess())
    assert type(made(*arguments)) is Worker


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_sighup_stops_a_server_unless_it_is_ignored() -> None:
    """As ``nohup`` has it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= {*stop_signals()}
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert signal.SIGHUP not in stop_signals()
        assert signal.SIGTERM in stop_signals()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there, the child has no pipe to its parent")
def test_the_child_of_a_reloader_stops_when_its_parent_has_ended() -> None:
    """The other end of a pipe is closed then."""
    received: list[int] = []
    read, write = os.pipe()
    os.close(write)
    with handle_os_signals([signal.SIGTERM], lambda number, frame: received.append(number)):
        reloader_child._end_with_parent(read)
    os.close(read)
    assert received == [signal.SIGTERM]
