"""The command lines of the servers, with the stock command or with the command of an adapter.

Each function returns the starter of one command line: it starts a server with a Django app of
``served/project`` and returns the process, as a context manager.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from testkit.client import HOST
from testkit.processes import Process, start

Start = Callable[..., AbstractContextManager[Process]]
"""Takes the Django app and more options of the server.

By keyword it takes ``asgi``, the module of ``served/project`` or another one that has the
application, or the application itself as ``module:name``, and variables of the environment.
"""

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


def starter(*command: str) -> Start:
    """Return the starter of Python with these arguments, ``{application}`` among them."""

    def launch(
        django_app: str, *options: str, asgi: str = "asgi", **environment: str
    ) -> AbstractContextManager[Process]:
        module = asgi if "." in asgi else f"project.{asgi}"
        application = module if ":" in module else f"{module}:application"
        words = [word.replace("{application}", application) for word in command]
        return start([sys.executable, *words, *options], django_app, environment=environment)

    return launch


def uvicorn(module: str = "uvicorn", *options: str) -> Start:
    """Return the starter of uvicorn."""
    return starter("-m", module, "{application}", "--host", HOST, "--port", "{port}", *options)


def hypercorn(module: str = "hypercorn", *options: str) -> Start:
    """Return the starter of hypercorn."""
    return starter("-m", module, "{application}", "--bind", f"{HOST}:{{port}}", *options)


def daphne(module: str = "daphne", *options: str) -> Start:
    """Return the starter of daphne."""
    return starter("-m", module, "--bind", HOST, "--port", "{port}", *options, "{application}")


def gunicorn(worker_class: str, *options: str) -> Start:
    """Return the starter of gunicorn with a worker class, ours by its name alone.

    Without a name the configuration chooses the worker class.
    """
    ours = "django_asgi_lifespan_gunicorn."
    name = ours + worker_class if worker_class.endswith("LifespanWorker") else worker_class
    command = ["-m", "gunicorn", "{application}", "--bind", f"{HOST}:{{port}}"]
    command += ["--no-control-socket", *(["--worker-class", name] if name else [])]
    return starter(*command, *options)


def granian(module: str = "granian", *options: str) -> Start:
    """Return the starter of granian, by a module or by a script."""
    program = [module] if module.endswith(".py") else ["-m", module]
    command = [*program, "{application}", "--interface", "asgi"]
    return starter(*command, "--host", HOST, "--port", "{port}", *options)
