"""Test cases of Django with a lifespan."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from django.test import AsyncClient, Client, TestCase
from django.test.testcases import SimpleTestCase

from django_asgi_lifespan.declaration import Resource

from .clients import LifespanAwareAsyncClient, LifespanAwareClient
from .under_test import LifespanUnderTest, run_lifespan_around_test

if TYPE_CHECKING:
    _Case = SimpleTestCase
else:
    _Case = object

__all__ = ("LifespanTestCase", "LifespanTestMixin")

__unittest = True  # unittest leaves our frames out of the tracebacks of tests


class LifespanTestMixin(_Case):
    """The lifespan around each test, in the transaction of the test. It stands first of the bases.

    Attributes:
        lifespan: the lifespan, while a test runs: its ``state``, and ``run()`` for coroutines.
        lifespan_overrides: the values that stand in for resources. A generator function is opened
            in place of the resource.
        lifespan_only: the resources, or names of resources, that start with those that they
            require. Without it, everything starts.
        lifespan_strict: whether a test fails that leaves a task, a thread, an open connection or a
            lifespan behind. Under pytest, ``--lifespan-strict`` says so for all.
        lifespan_scope: ``"test"``, or ``"class"`` for one lifespan around all the tests of a class.
    """

    lifespan: LifespanUnderTest
    _lifespan_of_class: ClassVar[ExitStack]
    lifespan_overrides: ClassVar[Mapping[Resource[Any], object]] = {}
    lifespan_only: ClassVar[Iterable[Resource[Any] | str] | None] = None
    lifespan_scope: ClassVar[Literal["test", "class"]] = "test"
    lifespan_strict: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if getattr(cls, "client_class", None) is Client:
            cls.client_class = LifespanAwareClient
        if getattr(cls, "async_client_class", None) is AsyncClient:
            cls.async_client_class = LifespanAwareAsyncClient

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if cls.lifespan_scope == "class":
            cls._lifespan_of_class = ExitStack()
            try:
                cls.lifespan = cls._lifespan_of_class.enter_context(cls._run_lifespan())
            except BaseException:
                super().tearDownClass()
                raise

    @classmethod
    def tearDownClass(cls) -> None:
        try:
            if cls.lifespan_scope == "class":
                cls._lifespan_of_class.close()
        finally:
            super().tearDownClass()

    def run(self, result: Any = None) -> Any:
        with self._set_up_inside():
            return super().run(result)

    def debug(self) -> None:
        with self._set_up_inside():
            super().debug()

    @contextlib.contextmanager
    def _set_up_inside(self) -> Generator[None]:
        """Let ``setUp()`` begin inside the lifespan, although a subclass may not call ours."""
        instance: Any = self
        if self.lifespan_scope != "test":
            yield
            return
        instance.setUp = functools.partial(self._start_lifespan, self.setUp)
        try:
            yield
        finally:
            del instance.setUp

    def _start_lifespan(self, set_up: Callable[[], object]) -> None:
        stack = ExitStack()
        self.lifespan = stack.enter_context(self._run_lifespan())
        self.addCleanup(stack.close)
        set_up()

    @classmethod
    def _run_lifespan(cls) -> contextlib.AbstractContextManager[LifespanUnderTest]:
        return run_lifespan_around_test(
            overrides=cls.lifespan_overrides, only=cls.lifespan_only, strict=cls.lifespan_strict
        )


class LifespanTestCase(LifespanTestMixin, TestCase):
    """Django's ``TestCase`` with the lifespan around each test, in the transaction of the test."""
