"""Every sentence of the log about a lifespan, and the message for the server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from django_asgi_lifespan.errors import ReceiverError, describe, shorten
from django_asgi_lifespan.last_resort import log

__all__ = ("Report",)

logger = logging.getLogger("django_asgi_lifespan")


class Report:
    """What is said of one lifespan.

    Args:
        level: the logging level of the lines that tell the course of things.
        number: how many resources there are.
        clock: returns seconds.

    Attributes:
        failures: the failures of the phase that goes on, one sentence each.
        error: the first exception that explains a failure, if any.
        is_told: whether the log takes lines of that level.
    """

    def __init__(self, level: int, number: int, clock: Callable[[], float]) -> None:
        self.failures: list[str] = []
        self.error: BaseException | None = None
        self._level = level
        self._clock = clock
        self.is_told = logger.isEnabledFor(level)
        self._count = "1 resource" if number == 1 else f"{number} resources"

    def phase_begins(self, phase: str) -> None:
        """Say that the startup or the shutdown begins."""
        log(logger, self._level, "Lifespan %s: %s", phase, self._count)

    def phase_complete(self, phase: str, since: float) -> None:
        """Say how long the startup or the shutdown took."""
        milliseconds = (self._clock() - since) * 1000
        log(logger, self._level, "Lifespan %s complete in %.0f ms", phase, milliseconds)

    @staticmethod
    def startup_goes_on(seconds: float, names: Sequence[str]) -> None:
        """Say which resources have not opened after so many seconds."""
        message = "The startup has taken %g s and goes on, waiting for: %s (STARTUP_WARNING)"
        log(logger, logging.WARNING, message, round(seconds, 1), _enumerate(names))

    @staticmethod
    def startup_interrupted(names: Sequence[str]) -> None:
        """Say which resources had not opened when the startup was cancelled."""
        message = "The startup is interrupted, waiting for: %s"
        log(logger, logging.WARNING, message, _enumerate(names))

    def phase_too_long(self, phase: str, setting: str, limit: float, names: Sequence[str]) -> None:
        """Say which resources a phase still waits for at its limit."""
        failure = (
            f"the {phase} did not complete within {limit:g} s ({setting}), waiting for: "
            f"{_enumerate(names)}"
        )
        self.failures.append(failure)
        log(logger, logging.ERROR, "%s%s", failure[0].upper(), failure[1:])

    def resource_done(self, name: str, what: str, since: float, level: int | None) -> None:
        """Say that a resource started, stopped or was cancelled, and how long that took.

        Args:
            level: another logging level than that of the lifespan.
        """
        milliseconds = (self._clock() - since) * 1000
        log(logger, level or self._level, "%s %s %.0f ms", name, what, milliseconds)

    def resource_failed(
        self, name: str, what: str, error: BaseException | None, *, is_reason: bool
    ) -> None:
        """Note a failure of a resource, with its traceback.

        A receiver's failure names the receiver, and is in the log already.

        Args:
            is_reason: whether *error* explains the failure. Else it is our own cancellation.
        """
        if isinstance(error, ReceiverError):
            self.error = self.error or error.__cause__
            self.failures.append(str(error))
            return
        why = ""
        if is_reason and error is not None:
            why = f": {describe(error)}"
            self.error = self.error or error
        self.failures.append(f"{name} {what}{why}")
        log(logger, logging.ERROR, "%s", self.failures[-1], exc_info=error)

    def abandoned_one_ended(self, name: str) -> None:
        """Say that a resource has ended for which nobody waited any more."""
        log(logger, logging.DEBUG, "%s, which was abandoned, has ended", name)

    def summary(self) -> str:
        """Return the failures as the message for the server."""
        return "; ".join(shorten(self.failures, remedy=": see the log"))


def _enumerate(names: Sequence[str]) -> str:
    return ", ".join(shorten(names)) or "nothing"
