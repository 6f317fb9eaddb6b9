"""The journal of a launch, and the workers that it tells of."""

from __future__ import annotations

from testkit import journal

__all__ = ("Journal",)


class Journal(journal.Journal):
    """The events of one launch of the project."""

    @property
    def workers(self) -> list[int]:
        """The processes in which a startup was begun, in the order of their beginning."""
        return list(dict.fromkeys(event.pid for event in self.find("base opening")))
