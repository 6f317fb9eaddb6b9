"""The project of the page "Testing", whose tests run under both runners."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/testing.md"
PLUGINS = ("django_asgi_lifespan", "django", "asyncio", "anyio")
DEADLINE = 120


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "passed"),
    [
        (["manage.py", "test", "observatory"], "Ran 3 tests"),
        (["-m", "pytest", "-pno:cacheprovider", *(f"-p{name}" for name in PLUGINS)], "6 passed"),
    ],
    ids=["Django's runner", "pytest"],
)
def test_the_tests_pass(command: list[str], passed: str) -> None:
    """Django's runner runs the test case, and pytest both files."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=HERE,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert passed in done.stdout


@pytest.mark.parametrize(
    "name",
    ["observatory/fakes.py", "observatory/tests.py", "observatory/tests_pytest.py", "pytest.ini"],
)
def test_the_page_shows_the_tested_files(name: str) -> None:
    """Word for word."""
    blocks = re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert dict(blocks)[name].strip() == (HERE / name).read_text().strip()
