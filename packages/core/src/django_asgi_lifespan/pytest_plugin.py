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

WANTED: pytest.StashKey[str] = pytest.StashKey()
"""The fixture that runs the lifespan in the event loop of the current test, or nothing."""

RUNNER: pytest.StashKey[str] = pytest.StashKey()
"""The same of the lifespan that runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("django-asgi-lifespan").addoption(
        "--lifespan-strict",
        action="store_true",
        help="fail a test with a lifespan that leaves a task, a thread, an open connection or an "
        "open resource behind",
    )
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
            f"lifespan_scope is {scope!r}, and must be one of: {', '.join(SCOPES)}. "
            f"[lifespan-scope]"
        )
    if config.pluginmanager.has_plugin("asyncio"):
        config.pluginmanager.register(_asyncio_fixtures(scope), "django_asgi_lifespan_asyncio")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    case: Any = getattr(item, "cls", None)
    if hasattr(case, "lifespan_strict") and item.config.getoption("lifespan_strict"):
        case.lifespan_strict = True
    if "lifespan" not in getattr(item, "fixturenames", ()):
        return
    scope, runner = item.config.getini("lifespan_scope"), _runner(item)
    width = runner.removeprefix("_lifespan_in_asyncio_")
    if width in SCOPES and SCOPES.index(width) < SCOPES.index(scope):
        pytest.fail(
            f"lifespan_scope is {scope!r}, and the event loop of this test has the scope "
            f"{width!r}. Set lifespan_scope = {width}, or give the test a wider loop: "
            f"@pytest.mark.asyncio(loop_scope={scope!r}). [lifespan-scope]",
            pytrace=False,
        )
    if item.session.stash.get(RUNNER, runner) != runner:
        pytest.fail(
            f"lifespan_scope is {scope!r}, and the lifespan runs already, for tests in another "
            f"event loop than that of this test. Set lifespan_scope = function, or keep such "
            f"tests, and sync and async ones, apart. [lifespan-scope]",
            pytrace=False,
        )
    item.session.stash[WANTED] = runner


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
    runner = request.session.stash[WANTED]
    if request.scope == "function":
        for name in DATABASE:
            if name in request.fixturenames:
                request.getfixturevalue(name)
    with ExitStack() as stack:
        if middleware not in settings.MIDDLEWARE:  # Django's clients know no request.state
            stack.enter_context(override_settings(MIDDLEWARE=[middleware, *settings.MIDDLEWARE]))
        if runner:
            running = request.getfixturevalue(runner)
        else:
            running = stack.enter_context(run_lifespan_around_test(**_options(request)))
        request.session.stash[RUNNER] = runner
        stack.callback(request.session.stash.__delitem__, RUNNER)
        yield running


@pytest.fixture(scope=_scope)
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


_lifespan_in_anyio = pytest.fixture(name="_lifespan_in_anyio", scope=_scope)(_run_in_loop)


def _asyncio_fixtures(scope: Any) -> ModuleType:
    """Return a plugin with a fixture for each event loop that pytest-asyncio may run a test in."""
    import pytest_asyncio

    def fixture(width: Any) -> Any:
        async def run_in_loop(
            request: pytest.FixtureRequest, _lifespan_thread: ThreadPoolExecutor
        ) -> AsyncGenerator[LifespanUnderTest]:
            async for each in _run_in_loop(request, _lifespan_thread):
                yield each

        name = f"_lifespan_in_asyncio_{width}"
        return pytest_asyncio.fixture(loop_scope=width, scope=scope, name=name)(run_in_loop)

    module = ModuleType("django_asgi_lifespan_asyncio")  # pytest looks for fixtures in modules
    for width in SCOPES[SCOPES.index(scope) :]:
        setattr(module, width, fixture(width))
    return module


def _runner(item: pytest.Item) -> str:
    """Return the name of the fixture for the plugin that runs this test, or "" in a sync test."""
    if "anyio_backend" in cast("pytest.Function", item).fixturenames:
        return "_lifespan_in_anyio"
    marker = item.get_closest_marker("asyncio")
    if marker is None:
        return ""
    default = item.config.getini("asyncio_default_test_loop_scope")
    scope = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope") or default
    return f"_lifespan_in_asyncio_{scope}"


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {**marker_options(request), "strict": request.config.getoption("lifespan_strict")}


def marker_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the arguments of the marker."""
    marker = request.node.get_closest_marker("lifespan")
    if marker is None:
        return {}
    options: dict[str, Any] = dict(marker.kwargs)
    if marker.args or options.keys() - {"overrides", "only"}:
        pytest.fail(
            "The marker takes these keyword arguments alone: "
            "@pytest.mark.lifespan(overrides={resource: value}, only=[resource]). "
            "[lifespan-marker]",
            pytrace=False,
        )
    return options
