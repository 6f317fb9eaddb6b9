"""Test cases and test clients with a lifespan."""

from .cases import LifespanTestCase, LifespanTestMixin
from .clients import LifespanAwareAsyncClient, LifespanAwareClient
from .under_test import LifespanUnderTest, run_lifespan_around_test

__all__ = (
    "LifespanAwareAsyncClient",
    "LifespanAwareClient",
    "LifespanTestCase",
    "LifespanTestMixin",
    "LifespanUnderTest",
    "run_lifespan_around_test",
)
