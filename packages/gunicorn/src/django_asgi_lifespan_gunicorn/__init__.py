"""gunicorn workers that open a Django project's resources before they serve and close them after.

``gunicorn -k django_asgi_lifespan_gunicorn.LifespanWorker`` runs uvicorn inside, and
``-k django_asgi_lifespan_gunicorn.NativeLifespanWorker`` gunicorn's own ASGI worker.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .asgi_worker import NativeLifespanWorker
    from .uvicorn_worker import LifespanWorker

__version__ = "1.0.0"

__all__ = ("LifespanWorker", "NativeLifespanWorker")

_NO_UVICORN = """\
LifespanWorker runs uvicorn inside, by way of the package uvicorn-worker, which cannot be \
imported. Install both: pip install "django-asgi-lifespan-gunicorn[uvicorn]>=1". \
NativeLifespanWorker does without. [lifespan-worker-class]"""

_NO_ASGI_WORKER = """\
NativeLifespanWorker needs gunicorn's own ASGI worker, which this gunicorn does not have. Install \
a newer one: pip install "gunicorn>=25". LifespanWorker does without. [lifespan-worker-class]"""

# The place of each class, the module that it needs, and the remedy where that is missing.
_WORKERS = {
    "LifespanWorker": ("uvicorn_worker", "uvicorn_worker", _NO_UVICORN),
    "NativeLifespanWorker": ("asgi_worker", "gunicorn.workers.gasgi", _NO_ASGI_WORKER),
}


def __getattr__(name: str) -> Any:
    """Import a worker class when it is asked for, and only the modules that it needs."""
    if name not in _WORKERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, need, remedy = _WORKERS[name]
    try:
        import_module(need)
    except ImportError as error:
        raise ImportError(remedy) from error
    return getattr(import_module(f"{__name__}.{module}"), name)
