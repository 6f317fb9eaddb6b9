"""The limits of the whole startup and shutdown, and of a lifespan that is cancelled twice."""

from __future__ import annotations

from collections.abc import Sequence

from .limits import GRACE
from .progress import Progress
from .states import BUSY, ENDED, State
from .task import ResourceTask

__all__ = ("PhaseLimits",)


class PhaseLimits:
    """The limits of the phases of one lifespan.

    Args:
        tasks: those of all resources, in the order of their start.
        startup, shutdown: seconds for each whole phase, or None for no limit.
        startup_warning: seconds after which the log names what the startup waits for, or None.
    """

    def __init__(
        self,
        progress: Progress,
        tasks: Sequence[ResourceTask],
        *,
        startup: float | None,
        startup_warning: float | None,
        shutdown: float | None,
    ) -> None:
        self._progress = progress
        self._tasks = tasks
        self._startup = startup
        self._startup_warning = startup_warning
        self._shutdown = shutdown

    def begin_startup(self) -> None:
        """Begin to count for the startup."""
        self._progress.limits.after(self._startup, self._exceed_startup)
        self._progress.limits.remind(self._startup_warning, self._remind)

    def begin_shutdown(self) -> None:
        """Begin to count for the shutdown."""
        self._progress.limits.after(self._shutdown, self._exceed_shutdown)

    def hurry(self) -> None:
        """Leave all that goes on the time of one grace, and cancel it at its half."""
        self._progress.limits.after(GRACE / 2, self._cancel_busy)
        self._progress.limits.after(GRACE, self._cut)

    def _remind(self, seconds: float) -> None:
        # After code that has blocked the event loop, the next resources may not have begun.
        names = self._names(State.OPENING) or self._names(State.WAITING)
        self._progress.report.startup_goes_on(seconds, names)

    def _exceed_startup(self) -> None:
        self._exceed("startup", "STARTUP_TIMEOUT", self._startup, State.OPENING)
        self._progress.is_ending = True
        self._progress.wake()

    def _exceed_shutdown(self) -> None:
        if self._names(*BUSY):  # else those that were late have been abandoned in this very moment
            self._exceed("shutdown", "SHUTDOWN_TIMEOUT", self._shutdown, *BUSY)
        # Those that waited for the late ones still get their turn, and as much time.
        self._progress.limits.after(2 * GRACE, self._cut)

    def _exceed(self, phase: str, setting: str, limit: float | None, *states: State) -> None:
        """Name the tasks in *states* that *phase* still waits for, and give them their grace."""
        self._progress.report.phase_too_long(phase, setting, limit or 0.0, self._names(*states))
        for task in self._tasks:
            if task.state in states:
                self._progress.limits.give_grace(task)

    def _cancel_busy(self) -> None:
        for task in self._tasks:
            if task.state in BUSY and not task.cancelled:
                task.cancel()

    def _cut(self) -> None:
        """Wait for nothing any more."""
        self._cancel_busy()
        for task in self._tasks:
            if task.state is not State.WAITING and task.state not in ENDED:
                task.abandon("was left no time to close")

    def _names(self, *states: State) -> list[str]:
        return [task.name for task in self._tasks if task.state in states]
