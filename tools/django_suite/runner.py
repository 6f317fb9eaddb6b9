"""Django's test runner, which notes how each test ends, and in which a test has our clients."""

import json
import os
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.test import AsyncClient, Client, TransactionTestCase
from django.test.runner import DiscoverRunner

from .clients import AsyncSuiteClient, SuiteClient, end_event_loop
from .handlers import current

__all__ = ("Runner",)

outcomes: dict[str, list[Any]] = {}
"""For each test: how it ended, how many requests it sent, and how many had a request thread."""


class _Recorder(unittest.TextTestResult):
    def startTest(self, test: Any) -> None:  # noqa: N802 - unittest's, as those below
        current.has_database = isinstance(test, TransactionTestCase)
        current.requests = current.lent = 0
        super().startTest(test)

    def _note(self, test: Any, outcome: str) -> None:
        noted = outcomes.setdefault(test.id(), ["passed", 0, 0])
        if noted[0] == "passed":
            noted[0] = outcome

    def stopTest(self, test: Any) -> None:  # noqa: N802
        super().stopTest(test)
        self._note(test, "passed")
        outcomes[test.id()][1:] = current.requests, current.lent

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._note(test, f"error {err[0].__name__}")

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._note(test, "failure")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, f"failure of {subtest.id().removeprefix(test.id())}")

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._note(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        self._note(test, "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._note(test, "unexpected success")


def _tests(suite: Any) -> Iterator[Any]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _tests(each)
        else:
            yield each


class Runner(DiscoverRunner):
    """Gives each test the clients, and writes the outcomes to the file ``SUITE_OUTCOMES``."""

    def build_suite(self, *args: Any, **kwargs: Any) -> Any:
        suite: Any = super().build_suite(*args, **kwargs)
        for test in _tests(suite):
            case: type[Any] = test.__class__
            if getattr(case, "client_class", None) is Client:
                case.client_class = SuiteClient
            if getattr(case, "async_client_class", None) is AsyncClient:
                case.async_client_class = AsyncSuiteClient
        return suite

    def get_resultclass(self) -> Any:
        return _Recorder

    def run_suite(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().run_suite(*args, **kwargs)
        finally:
            end_event_loop()
            Path(os.environ["SUITE_OUTCOMES"]).write_text(json.dumps(outcomes, indent=1))
