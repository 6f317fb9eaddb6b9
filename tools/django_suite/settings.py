"""The settings of Django's tests with SQLite, with the runner that notes how each test ends."""

import os
from importlib import import_module

_sqlite = import_module("test_sqlite")  # Django has it beside its runtests.py
globals().update({name: value for name, value in vars(_sqlite).items() if name.isupper()})

TEST_RUNNER = "tools.django_suite.runner.Runner"
ASGI_LIFESPAN = {"REQUEST_THREADS": 4} if os.environ["SUITE_KIND"] == "threads" else {}
