"""The package offers a version and a command."""

from __future__ import annotations

import functools
import importlib.metadata

import pytest
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

import django_asgi_lifespan_hypercorn
from django_asgi_lifespan_hypercorn.command import SpawnedWorker, main

DISTRIBUTION = "django-asgi-lifespan-hypercorn"


def test_the_version_is_that_of_the_distribution() -> None:
    """They are written down in two places."""
    assert django_asgi_lifespan_hypercorn.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_the_core_has_the_same_version() -> None:
    """All packages are released together."""
    requires = importlib.metadata.requires(DISTRIBUTION) or []
    assert f"django-asgi-lifespan=={django_asgi_lifespan_hypercorn.__version__}" in requires


def test_there_is_a_console_script() -> None:
    """It is the command."""
    [script] = importlib.metadata.entry_points(group="console_scripts", name="hypercorn-lifespan")
    assert script.load() is main


def fail(error: Exception) -> None:
    """Do the work of a worker, in vain."""
    raise error


@pytest.mark.parametrize(
    "error", [LifespanFailureError("startup", "no database"), LifespanTimeoutError("startup")]
)
def test_a_worker_whose_application_has_not_started_up_ends_with_3(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Another application stands in front of the project's, and its own startup fails."""
    worker = SpawnedWorker(target=functools.partial(fail, error))
    with pytest.raises(SystemExit) as ended:
        worker.run()
    assert ended.value.code == 3
    assert caplog.messages == [str(error)]


@pytest.mark.parametrize("error", [LifespanFailureError("shutdown", "no"), ValueError()])
def test_a_worker_that_fails_otherwise_ends_as_hypercorn_lets_it(error: Exception) -> None:
    """The exit code is 1 then, with a traceback."""
    worker = SpawnedWorker(target=functools.partial(fail, error))
    with pytest.raises(type(error)):
        worker.run()
