import os

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "newsroom.settings")

app = Celery("newsroom")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def begin(**_: object) -> None:
    from news import background

    background.begin()


@worker_process_shutdown.connect
def end(**_: object) -> None:
    from news import background

    background.end()
