"""Programs that ask for a resource in vain, as people run them: each gets its own remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

FILES = {
    "settings.py": """
SECRET_KEY = "x"
INSTALLED_APPS = ["django_asgi_lifespan", "shop"]
DATABASES = {}
""",
    "manage.py": """
import os
import sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
""",
    "shop/__init__.py": "",
    "shop/lifespan.py": """
from django_asgi_lifespan import resource
@resource
async def pool():
    yield 1
""",
    "shop/management/commands/import_prices.py": """
from django.core.management import BaseCommand
from shop.lifespan import pool
class Command(BaseCommand):
    def handle(self, **options):
        pool.get()
""",
    "shop/tests.py": """
from django.test import SimpleTestCase
from shop.lifespan import pool
class PriceTests(SimpleTestCase):
    def test_price(self):
        pool.get()
""",
    "test_price.py": """
import django
django.setup()
from shop.lifespan import pool
def test_price():
    pool.get()
""",
    "script.py": """
import django
django.setup()
from shop.lifespan import pool
pool.get()
""",
    "without_setup.py": """
from django_asgi_lifespan import run_lifespan_sync
with run_lifespan_sync():
    pass
""",
    "celery/__init__.py": "# Found before the package that may be installed.",
    "celery/__main__.py": """
import django
django.setup()
from shop.lifespan import pool
pool.get()
""",
    "with_trio.py": """
import django
import trio
django.setup()
from django_asgi_lifespan import run_lifespan
async def main():
    async with run_lifespan():
        pass
trio.run(main)
""",
}

SHELL = "import shop.lifespan; shop.lifespan.pool.get()"
NONE = "pool is not available: no lifespan ran in this process. "

PROGRAMS = {
    ("manage.py", "shell", "-c", SHELL): f"{NONE}In a shell, start one: 'block = run_lifespan_sync",
    ("-m", "django", "shell", "-c", SHELL): f"{NONE}In a shell, start one:",
    ("manage.py", "import_prices"): f"{NONE}In a management command, run one around",
    ("manage.py", "test"): f"{NONE}In a test, run one around it: by the fixture",
    ("-m", "pytest", "test_price.py"): f"{NONE}In a test, run one around it: by the fixture",
    ("-m", "celery", "worker"): f"{NONE}In a worker of a task queue, run one in the process",
    ("script.py",): f"{NONE}In a script, a command or a test, use run_lifespan() or",
    ("without_setup.py",): "Django is not set up, so its apps cannot be asked for their resources.",
    ("with_trio.py",): "run_lifespan() cannot run here: no event loop of asyncio runs here",
}


@pytest.mark.parametrize("arguments", PROGRAMS, ids=lambda each: " ".join(each[:3]))
def test_a_program_gets_its_remedy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """The kind of the program is known by its command line, as Python passes it on."""
    if "with_trio.py" in arguments:
        pytest.importorskip("trio", reason="trio is not among the packages of `just test-versions`")
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert PROGRAMS[arguments] in " ".join(done.stdout.split()), done.stdout
