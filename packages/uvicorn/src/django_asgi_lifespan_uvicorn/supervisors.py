"""uvicorn's own parent processes, with the changes that the twin of its command needs.

Overridden:

- ``Multiprocess.terminate_all``, ``join_all``, ``restart_all`` and ``keep_subprocess_alive``
  (supervisors/multiprocess.py:165, supervisors/multiprocess.py:169,
  supervisors/multiprocess.py:173, supervisors/multiprocess.py:214), and ``handle_quit``, a name
  that it looks for (supervisors/multiprocess.py:245)
- ``BaseReload.shutdown`` (supervisors/basereload.py:102).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import SIGNALS, Process

from django_asgi_lifespan.adapters import KILL_LIMIT, POLL, SHUTDOWN_FAILURE, STARTUP_FAILURE

from .stop import logger

if TYPE_CHECKING:
    from uvicorn.supervisors.basereload import BaseReload as ChangeReload
else:  # one of two classes, as the packages that are installed allow
    from uvicorn.supervisors import ChangeReload

__all__ = ("Reloader", "Supervisor")

STOPS = {number for number, name in SIGNALS.items() if name in ("INT", "TERM", "BREAK", "QUIT")}


class Supervisor(Multiprocess):
    """The parent of the workers, which tells how they fared by its exit code.

    Attributes:
        exit_code: 3 where a worker could not start up, 1 where one could not close everything.
    """

    exit_code = 0

    def keep_subprocess_alive(self) -> None:
        # An OS signal of which a worker may have died: it is not to be replaced.
        if self.signal_queue or self.should_exit.is_set():
            return
        super().keep_subprocess_alive()
        if self.should_exit.is_set():  # by a worker: OS signals are handled elsewhere
            self.exit_code = STARTUP_FAILURE

    def restart_all(self) -> None:
        """Replace one worker after the other by a new one that serves, until told to stop.

        A new one that does not serve is told to stop before it is killed, so that it closes the
        resources that it has opened.
        """
        for index, old in enumerate(self.processes):
            if self._is_told():
                return
            new = Process(self.config, self.sockets)
            new.start()
            if not self._waits_for(new):
                end = new.process.exitcode
                new.terminate()
                new.process.join(KILL_LIMIT)
                new.kill()
                new.join()
                if not self._is_told():
                    limit = self.config.timeout_worker_healthcheck
                    slow = f"did not start up within {limit} s (--timeout-worker-healthcheck)"
                    reason = slow if end is None else f"ended with exit code {end}"
                    logger.error(
                        "New worker [%s] %s. Worker [%s] keeps serving.", new.pid, reason, old.pid
                    )
                return
            old.terminate()
            old.join()
            self.processes[index] = new

    def _waits_for(self, new: Process) -> bool:
        """Return whether a new worker serves, as soon as that is known."""
        end = time.monotonic() + self.config.timeout_worker_healthcheck
        while time.monotonic() < end and new.process.is_alive() and not self._is_told():
            if new.wait_until_ready(POLL):
                return True
        return False

    def _is_told(self) -> bool:
        return not STOPS.isdisjoint(self.signal_queue)

    def handle_quit(self) -> None:
        """Stop as for SIGTERM."""
        logger.info("Received SIGQUIT, exiting.")
        self.should_exit.set()

    def terminate_all(self) -> None:
        # Workers close the port before they shut down, but it is open while anybody holds it.
        for each in self.sockets:
            each.close()
        super().terminate_all()

    def join_all(self) -> None:
        super().join_all()
        if SHUTDOWN_FAILURE in [process.exitcode for process in self.processes]:
            self.exit_code = self.exit_code or SHUTDOWN_FAILURE


class Reloader(ChangeReload):
    """The parent of one worker, which is replaced whenever a file changes."""

    def shutdown(self) -> None:
        for each in self.sockets:  # as a supervisor does
            each.close()
        super().shutdown()
