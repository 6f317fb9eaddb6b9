import os

import django

SECRET_KEY = "for the example only"
INSTALLED_APPS = ["django_tasks_db", "news"]
if django.VERSION < (6, 0):
    INSTALLED_APPS += ["django_tasks"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_NAME", "newsroom.sqlite3"),
    }
}
USE_TZ = True

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
CELERY_BROKER_URL = CELERY_RESULT_BACKEND = os.environ.get("REDIS_URL", "redis://127.0.0.1")
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60

NEWS_URL = os.environ.get("NEWS_URL", "http://127.0.0.1:9000")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django_asgi_lifespan": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django_tasks": {"handlers": ["console"], "level": "INFO"},
        "django.tasks": {"handlers": ["console"], "level": "INFO"},
    },
}
