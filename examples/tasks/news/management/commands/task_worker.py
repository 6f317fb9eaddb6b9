from typing import Any

from django_tasks_db.management.commands import db_worker

from news import background


class Command(db_worker.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        background.begin()
        try:
            super().handle(*args, **options)
        finally:
            background.end()
