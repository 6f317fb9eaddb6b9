"""The messages of the lifespan around a test."""

from __future__ import annotations

import weakref

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
