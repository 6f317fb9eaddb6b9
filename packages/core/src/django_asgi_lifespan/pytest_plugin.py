"""The pytest plugin: the fixture ``lifespan`` and its marker. Without them it loads nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from django_asgi_lifespan.testing import LifespanUnderTest

__all__ = ("lifespan",)

SCOPES = ("function", "class", "module", "package", "session")

DATABASE = ("db", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback")
"""The fixtures of pytest-django that begin the transaction, or give access to the database."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "lifespan_scope",
        f"the scope of the fixture 'lifespan': {', '.join(SCOPES)}",
        default="function",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "lifespan(overrides={}, only=None): the stand-ins for resources, and the resources that "
        "start, in the fixture 'lifespan' of django-asgi-lifespan.",
    )
    scope = config.getini("lifespan_scope")
    if scope not in SCOPES:
        raise pytest.UsageError(
            f"lifespan_scope is {scope!r}, and must be one of: {', '.join(SCOPES)}."
        )
    if config.pluginmanager.has_plugin("asyncio"):
        config.pluginmanager.register(_asyncio_fixtures(), "django_asgi_lifespan_asyncio")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    scope = item.config.getini("lifespan_scope")
    if "lifespan" in getattr(item, "fixturenames", ()) and scope != "function" and _runner(item):
        pytest.fail(
            f"lifespan_scope is {scope!r}, and an asynchronous test has a lifespan of its own, in "
            f"its own event loop. Set lifespan_scope = function, or write this test without async.",
            pytrace=False,
        )


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    return config.getini("lifespan_scope")


@pytest.fixture(scope=_scope)
def lifespan(request: pytest.FixtureRequest) -> Generator[LifespanUnderTest]:
    """The lifespan of the project: its ``state``, and ``run()`` for coroutines in sync tests.

    Requests of Django's test clients reach its event loop. With pytest-django's ``db`` all of it is
    in the transaction of the test. In an asynchronous test it runs in the event loop of the test.
    """
    from django.conf import settings
    from django.test import override_settings

    from django_asgi_lifespan.testing import run_lifespan_around_test

    middleware = "django_asgi_lifespan.middleware.LifespanStateMiddleware"
    runner = None
    if request.scope == "function":
        runner = _runner(request.node)
        for name in DATABASE:
            if name in request.fixturenames:
                request.getfixturevalue(name)
    with ExitStack() as stack:
        if middleware not in settings.MIDDLEWARE:  # Django's clients know no request.state
            stack.enter_context(override_settings(MIDDLEWARE=[middleware, *settings.MIDDLEWARE]))
        if runner:
            yield request.getfixturevalue(runner)
        else:
            yield stack.enter_context(run_lifespan_around_test(**_options(request)))


@pytest.fixture
def _lifespan_thread() -> Generator[ThreadPoolExecutor]:
    from django_asgi_lifespan.testing.in_loop import helper_thread

    with helper_thread() as thread:
        yield thread


async def _run_in_loop(
    request: pytest.FixtureRequest, _lifespan_thread: ThreadPoolExecutor
) -> AsyncGenerator[LifespanUnderTest]:
    from django_asgi_lifespan.testing.in_loop import run_lifespan_in_loop

    async with run_lifespan_in_loop(_lifespan_thread, **_options(request)) as running:
        yield running


_lifespan_in_anyio = pytest.fixture(name="_lifespan_in_anyio")(_run_in_loop)


def _asyncio_fixtures() -> ModuleType:
    """Return a plugin with a fixture for each event loop that pytest-asyncio may run a test in."""
    import pytest_asyncio

    def fixture(scope: Any) -> Any:
        async def run_in_loop(
            request: pytest.FixtureRequest, _lifespan_thread: ThreadPoolExecutor
        ) -> AsyncGenerator[LifespanUnderTest]:
            async for each in _run_in_loop(request, _lifespan_thread):
                yield each

        name = f"_lifespan_in_asyncio_{scope}"
        return pytest_asyncio.fixture(loop_scope=scope, name=name)(run_in_loop)

    module = ModuleType("django_asgi_lifespan_asyncio")  # pytest looks for fixtures in modules
    for scope in SCOPES:
        setattr(module, scope, fixture(scope))
    return module


def _runner(item: pytest.Item) -> str | None:
    """Return the name of the fixture for the plugin that runs this test, if it is asynchronous."""
    if "anyio_backend" in cast("pytest.Function", item).fixturenames:
        return "_lifespan_in_anyio"
    marker = item.get_closest_marker("asyncio")
    if marker is None:
        return None
    default = item.config.getini("asyncio_default_test_loop_scope")
    scope = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope") or default
    return f"_lifespan_in_asyncio_{scope}"


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("lifespan")
    if marker is None:
        return {}
    options: dict[str, Any] = dict(marker.kwargs)
    if marker.args or options.keys() - {"overrides", "only"}:
        pytest.fail(
            "The marker takes these keyword arguments alone: "
            "@pytest.mark.lifespan(overrides={resource: value}, only=[resource]).",
            pytrace=False,
        )
    return options
