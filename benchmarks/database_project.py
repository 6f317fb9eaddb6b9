"""A project as startproject makes it, with PostgreSQL, which the environment configures."""

import os
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.asgi import get_asgi_application as djangos_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

__all__ = ("application", "prepare", "stock", "wsgi")

has_pool = "POOL" in os.environ
threads = os.environ.get("THREADS")
settings.configure(
    ALLOWED_HOSTS=["*"],
    ASGI_LIFESPAN={"REQUEST_THREADS": int(threads) if threads else None},
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "tester",
            "HOST": os.environ["DATABASE_FOLDER"],
            "CONN_MAX_AGE": int(os.environ.get("AGE", "0")),
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {"pool": {"min_size": 2, "max_size": 16}} if has_pool else {},
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
    ],
    LOGGING_CONFIG=None,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for benchmarks only",
    USE_TZ=True,
)
django.setup()

from django_asgi_lifespan.asgi import get_asgi_application  # noqa: E402 - it needs the settings

User: Any = apps.get_model("auth.User")


def hello(request: HttpRequest) -> HttpResponse:
    """Answer without a query."""
    return HttpResponse("hello")


def query(request: HttpRequest) -> HttpResponse:
    """Answer with a row."""
    return HttpResponse(User.objects.get(pk=1).username)


async def aquery(request: HttpRequest) -> HttpResponse:
    """Answer with a row, in async code."""
    user: Any = await User.objects.aget(pk=1)
    return HttpResponse(user.username)


urlpatterns = [path("hello", hello), path("query", query), path("aquery", aquery)]


def prepare() -> None:
    """Make the tables and the row."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    User.objects.create_user("user")


if __name__ == "__main__":
    prepare()
else:
    kind = os.environ.get("KIND", "application")
    stock = djangos_application() if kind == "stock" else None
    wsgi = get_wsgi_application() if kind == "wsgi" else None
    application = get_asgi_application() if kind == "application" else None
