"""The messages of the lifespan around a test."""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from django_asgi_lifespan import pytest_plugin
from django_asgi_lifespan.testing.caller_thread import CallerThread
from messages.table import says


@says(
    "test",
    "Synchronous code of the task 'work', such as Django's ORM, has waited for the thread of the "
    "test for 10 s. The thread runs it when the test enters the lifespan: in a request, in "
    "lifespan.run(), at the end. If the test waits for the task, wait in the event loop: "
    "lifespan.run(wait()).",
    "wait in the event loop: lifespan.run(wait())",
)
async def _a_task_that_waits_for_the_thread_of_the_test() -> None:
    caller = CallerThread()
    future = caller.submit(list)
    caller._give_up(weakref.ref(caller._calls[0]), "work")
    future.result()


class _Config(SimpleNamespace):
    def addinivalue_line(self, name: str, line: str) -> None: ...

    def getini(self, name: str) -> str:
        return "wide" if name == "lifespan_scope" else "function"


@says(
    "test",
    "lifespan_scope is 'wide', and must be one of: function, class, module, package, session.",
    "must be one of: function",
)
def _an_unknown_scope() -> None:
    config: Any = _Config()
    pytest_plugin.pytest_configure(config)


@says(
    "test",
    "lifespan_scope is 'wide', and an asynchronous test has a lifespan of its own, in its own "
    "event loop. Set lifespan_scope = function, or write this test without async.",
    "Set lifespan_scope = function",
)
def _an_asynchronous_test_in_a_wide_scope() -> str:
    item: Any = SimpleNamespace(fixturenames=["lifespan", "anyio_backend"], config=_Config())
    with pytest.raises(pytest.fail.Exception) as failure:
        pytest_plugin.pytest_runtest_setup(item)
    return str(failure.value)


@says(
    "test",
    "The marker takes these keyword arguments alone: @pytest.mark.lifespan(overrides={resource: "
    "value}, only=[resource]).",
    "@pytest.mark.lifespan(overrides={resource: value}, only=[resource])",
)
def _a_wrong_marker() -> str:
    node = SimpleNamespace(get_closest_marker=lambda _: pytest.mark.lifespan("pool").mark)
    request: Any = SimpleNamespace(node=node)
    with pytest.raises(pytest.fail.Exception) as failure:
        pytest_plugin._options(request)
    return str(failure.value)
