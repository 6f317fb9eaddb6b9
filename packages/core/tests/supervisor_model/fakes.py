"""Fake resources, which follow their plan and write each step into the journal."""

from __future__ import annotations

import asyncio
import contextvars
import math
import sys
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from supervisor_model.scenario import ERRORS, Act, Host, OnCancel, Plan

if TYPE_CHECKING:
    from supervisor_model.world import World

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="")


class Fake:
    """A resource that follows its plan and writes each step down."""

    def __init__(self, world: World, name: str, plan: Plan) -> None:
        self.world = world
        self.name = name
        self.plan = plan
        self.startup_timeout = plan.startup_timeout
        self.shutdown_timeout = plan.shutdown_timeout

    def __repr__(self) -> str:
        return self.name

    async def open(self) -> AsyncGenerator[str]:
        async with _Opening(self) as value:
            yield value


class _Opening:
    """The async context manager of one opening of a fake resource."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.plan = fake.plan
        self.world = fake.world
        self.note = lambda what, detail=None: fake.world.note(fake.name, what, detail)

    async def __aenter__(self) -> str:
        self.note("opens")
        self.task = asyncio.current_task()
        if mark.get():
            self.world.problems.append(f"{self.fake.name} sees the context of {mark.get()}")
        mark.set(self.fake.name)
        try:
            await self._perform(self.plan.opening)
            self._enter_host()
        except BaseException as error:
            self.note("failed", error)
            raise
        await self.host.__aenter__()
        self._set_death()
        self.note("open")
        return f"value of {self.fake.name}"

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.note("closes", exception)
        if (exception is not None) != (self.fake in self.world.lifespan.died):
            self.world.problems.append(
                f"{self.fake.name} closes for {exception!r}; died: {self.world.lifespan.died}"
            )
        if asyncio.current_task() is not self.task:
            self.world.problems.append(f"{self.fake.name} closes in another task")
        if mark.get() != self.fake.name:
            self.world.problems.append(f"{self.fake.name} closes in the context {mark.get()!r}")
        try:
            error = await self._leave_host(exception_type, exception, traceback)
            await self._perform(self.plan.closing)
            if error is not None:
                raise error
        except BaseException as failure:
            self.note("close failed", failure)
            raise
        self.note("closed")
        return self.plan.suppresses

    async def _perform(self, act: Act) -> None:
        loop = self.world.loop
        end = loop.time() + act.seconds
        turns = act.turns
        while turns or loop.time() < end:
            try:
                if turns:
                    turns -= 1
                    await asyncio.sleep(0)
                else:
                    await self._until(end)
            except asyncio.CancelledError:
                self.note("cancelled")
                turns = 0
                if act.on_cancel is OnCancel.FINISH:
                    break
                if act.on_cancel is OnCancel.CLEAN_UP:
                    await self._clean_up(act.stubborn)
                if act.on_cancel is not OnCancel.IGNORE:
                    raise
                end = min(end, loop.time() + act.stubborn)
        if act.error:
            raise ERRORS[act.error](f"{self.fake.name} is broken")

    async def _until(self, end: float) -> None:
        if math.isinf(end):
            await self.world.loop.create_future()
        else:
            await asyncio.sleep(end - self.world.loop.time())

    async def _clean_up(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.note("cancelled while it cleans up")
            raise

    def _enter_host(self) -> None:
        self.host: Any = _Nothing()
        if self.plan.host is Host.ANYIO:
            self.host = anyio.create_task_group()
        elif sys.version_info >= (3, 11) and self.plan.host is Host.TASK_GROUP:
            self.host = asyncio.TaskGroup()
        elif sys.version_info >= (3, 11) and self.plan.host is Host.TIMEOUT:
            after = None if math.isinf(self.plan.dies_after) else self.plan.dies_after
            self.host = asyncio.timeout(after)

    def _set_death(self) -> None:
        after = self.plan.dies_after
        if isinstance(self.host, _Nothing):
            if not math.isinf(after):
                self.death = self.world.loop.call_later(after, self._die)
        elif isinstance(self.host, anyio.abc.TaskGroup):
            self.host.start_soon(self._crash, after)
        elif self.plan.host is Host.TASK_GROUP:
            self.child = self.host.create_task(self._crash(after), name=f"child: {self.fake.name}")

    def _die(self) -> None:
        assert self.task is not None
        self.note("dies")
        self.task.cancel()

    async def _crash(self, after: float) -> None:
        await self._until(self.world.loop.time() + after)
        self.note("dies")
        raise RuntimeError(f"a child of {self.fake.name} is broken")

    async def _leave_host(self, *info: Any) -> BaseException | None:
        if isinstance(self.host, _Nothing):
            if not math.isinf(self.plan.dies_after):
                self.death.cancel()
        elif isinstance(self.host, anyio.abc.TaskGroup):
            self.host.cancel_scope.cancel()
        elif self.plan.host is Host.TASK_GROUP:
            self.child.cancel()
        try:
            await self.host.__aexit__(*info)
        except asyncio.CancelledError as error:
            if error is not info[1]:
                raise
            return error
        except BaseException as error:
            return error
        return None


class _Nothing:
    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *info: object) -> None:
        pass
