"""SQLite, whose connections are in the journal from their begin to their end."""

from __future__ import annotations

from typing import Any

from django.db.backends.sqlite3 import base

from testkit import journal


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection of one thread."""

    def get_new_connection(self, conn_params: Any) -> Any:
        """Return an open connection."""
        opened = super().get_new_connection(conn_params)
        journal.write("connection", "open")
        return opened

    def _close(self) -> None:
        was_open = self.connection is not None
        super()._close()
        if was_open:
            journal.write("connection", "closed")
