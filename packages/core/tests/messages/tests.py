"""The messages of the lifespan around a test."""

from __future__ import annotations

import asyncio
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from django_asgi_lifespan import pytest_plugin
from django_asgi_lifespan.testing.caller_thread import CallerThread
from django_asgi_lifespan.testing.leftovers import Leftovers
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


def _refused(**stash: str) -> str:
    item: Any = SimpleNamespace(
        fixturenames=["lifespan"],
        config=SimpleNamespace(getini=lambda _: "module"),
        session=SimpleNamespace(stash={getattr(pytest_plugin, key): stash[key] for key in stash}),
        get_closest_marker=lambda _: SimpleNamespace(kwargs={"loop_scope": loop_scope}),
    )
    loop_scope = "module" if stash else "class"
    with pytest.raises(pytest.fail.Exception) as failure:
        pytest_plugin.pytest_runtest_setup(item)
    return str(failure.value)


@says(
    "test",
    "lifespan_scope is 'module', and the event loop of this test has the scope 'class'. Set "
    "lifespan_scope = class, or give the test a wider loop: "
    "@pytest.mark.asyncio(loop_scope='module').",
    "@pytest.mark.asyncio(loop_scope='module')",
)
def _an_asynchronous_test_in_a_narrow_loop() -> str:
    return _refused()


@says(
    "test",
    "lifespan_scope is 'module', and the lifespan runs already, for tests in another event loop "
    "than that of this test. Set lifespan_scope = function, or keep such tests, and sync and async "
    "ones, apart.",
    "Set lifespan_scope = function",
)
def _a_test_in_another_event_loop() -> str:
    return _refused(RUNNER="")


@says(
    "test",
    "The test left behind: the task 'work' of sleep(). End or close each in the resource, or the "
    "test, that began it. (Strict, as --lifespan-strict says.)",
    "End or close each in the resource, or the test, that began it.",
)
async def _a_strict_test_that_leaves_a_task() -> None:
    task = asyncio.create_task(asyncio.sleep(60), name="work")
    try:
        leftovers = Leftovers()
        with leftovers:
            await leftovers.note_tasks([task])
    finally:
        task.cancel()


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
        pytest_plugin.marker_options(request)
    return str(failure.value)
