"""Plays a story: launches the server, lets clients come, and sends the OS signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from websockets.exceptions import WebSocketException

from integration.harness.client import ERRORS, Answer
from integration.harness.launch import PROJECT, Launch, launched
from integration.harness.targets import read_targets

from .invariants import STOPS, Ending, find_violations
from .story import ClientSpec, SignalSpec, Story

GRACEFUL = 2
"""Seconds that requests in flight get."""

DEADLINE = 90.0
"""Seconds for each step. granian takes 30 to restart two workers whose requests do not end."""

SCRIPTS = Path(sys.executable).parent
ANCHORS = {"opening": "base opening", "serving": "asgi_startup sent"}
PATHS = {"short": "/", "slow": "/slow/", "sync": "/sync/", "stream": "/stream/"}
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: 127"


def play(story: Story) -> tuple[list[str], str]:
    """Return the rules that were broken, and a report of the launch."""
    target = read_targets()[story.target]
    words = [
        word.replace("{application}", "routed:application").replace("{graceful}", str(GRACEFUL))
        for word in target.command
    ]
    words[0] = str(SCRIPTS / words[0])
    apps = ["chaos", *json.loads(target.environment.get("FIRST_APPS", "[]"))]
    variables = {
        **target.environment,
        "PATH": f"{SCRIPTS}:/usr/bin:/bin",
        "SETUP": target.setup,
        "APPLICATION": "routed.application",
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": f".:{PROJECT.parents[1]}",  # for testkit
        "ROOT_URLCONF": "chaos.urls",
        "FIRST_APPS": json.dumps(apps),
        "CHAOS": story.write(),
    }
    with launched(words, variables, unix=target.unix) as launch:
        ending = _Player(launch, story).play()
        return find_violations(story, ending), launch.report()


class _Player:
    """One launch of a story.

    Args:
        launch: the server, which was started a moment ago.
    """

    def __init__(self, launch: Launch, story: Story) -> None:
        self._launch = launch
        self._story = story
        self._answers: list[Answer] = []
        self._sent: list[str] = []

    def play(self) -> Ending:
        """Return what is left when the server has ended."""
        threads = [
            threading.Thread(target=self._visit, args=(client,), daemon=True)
            for client in self._story.clients
        ]
        for thread in threads:
            thread.start()
        is_stopped = False
        for each in self._story.signals:
            self._send(each)
            is_stopped |= each.name in STOPS and each.whom != "worker"
        if not is_stopped:
            self._wait(lambda: False, within=0.5)
            self._launch.signal(signal.SIGTERM)
            self._sent.append("SIGTERM")
        self._launch.wait(within=DEADLINE)
        for thread in threads:
            thread.join(DEADLINE)
        return Ending(
            journal=self._launch.journal,
            sent=self._sent,
            code=self._launch.code,
            hung=self._launch.hung,
            orphans=self._launch.orphans,
            answers=self._answers,
        )

    def _wait(self, condition: Callable[[], object], *, within: float = DEADLINE) -> bool:
        """Return whether the condition became true, while the server runs."""
        return self._launch.waits(condition, within=within)

    def _send(self, each: SignalSpec) -> None:
        if event := ANCHORS.get(each.after):
            self._wait(lambda: self._launch.journal.count(event))
        end = time.monotonic() + each.delay
        while (left := end - time.monotonic()) > 0:
            threading.Event().wait(left)
        number = signal.Signals[each.name]
        if self._launch.code is not None:
            return
        if each.whom != "worker":
            self._launch.signal(number, each.whom)
        elif workers := [pid for pid in self._launch.journal.workers if psutil.pid_exists(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(workers[each.pick % len(workers)], number)
        else:
            return
        self._sent.append(each.name)

    # Clients

    def _visit(self, client: ClientSpec) -> None:
        """Come when the port is open, and behave as the kind says. Errors are no answers."""
        if not self._wait(self._launch.address.accepts):
            return
        threading.Event().wait(client.delay)
        with contextlib.suppress(*ERRORS, WebSocketException, AssertionError):
            self._behave(client.kind)

    def _behave(self, kind: str) -> None:
        if kind in PATHS:
            self._answers.append(self._launch.get(PATHS[kind]))
        elif kind == "leaving":
            request = self._launch.send("/slow/")
            threading.Event().wait(0.1)
            request.close()
        elif kind == "websocket":
            self._launch.open_websocket().close_code(within=DEADLINE)
        else:
            with self._launch.address.connect() as connection:
                connection.sendall(HALF_A_HEAD if kind == "half" else b"")
                connection.settimeout(DEADLINE)
                connection.recv(1)
