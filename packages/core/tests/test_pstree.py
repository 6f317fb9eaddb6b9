"""The names of resources in Python's own view of a running process (from Python 3.14 on)."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from testkit.processes import start

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="pstree is new in Python 3.14")

PROGRAM = """
import asyncio, django
from django_asgi_lifespan import run_lifespan

async def main():
    async with run_lifespan():
        pass

django.setup()
asyncio.run(main())
"""


def test_pstree_shows_each_resource_and_the_line_where_one_hangs() -> None:
    """The task of a resource has its name, and the code that it waits in stands below."""
    environment = {"CACHE_OPENING": "stuck"}
    with start([sys.executable, "-c", PROGRAM], "chain", environment=environment) as program:
        program.wait_for("cache stuck")
        command = [sys.executable, "-m", "asyncio", "pstree", str(program.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if "ermission" in done.stderr:
            pytest.skip("this system does not let one process look into another one")
        assert done.returncode == 0, done.stderr
        _, *tasks = re.split(r"^.*\(T\) ", done.stdout, flags=re.MULTILINE)
        assert [task.partition("\n")[0] for task in tasks] == ["Task-1", "pool", "cache"]
        assert re.search(r" stuck \S+lifespan.py:\d+$", tasks[-1], re.MULTILINE)
