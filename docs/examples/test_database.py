"""The blocks of the page about database connections, run as one Django project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.services import PostgreSQL, short_folder

PAGE = Path(__file__).parents[1] / "database.md"

SETTINGS = """
import sys
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": sys.path[0],
    "NAME": "postgres",
    "USER": "tester",
}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "shop"]
SECRET_KEY = "for tests only"
USE_TZ = True
"""

# PostgreSQL frees the lock of a closed connection a moment later, so this class has to come first.
USE = '''
class BothTests(TestCase):
    """Before the test of the page."""

    async def test_both_resources_work(self) -> None:
        """The consumer writes into the transaction of the test."""
        from shop.lifespan import consumer, leader

        async with run_lifespan():
            assert leader.get() is True
            await consumer.get().put("bakers")
        assert await Group.objects.filter(name="bakers").aexists()
'''


@pytest.mark.process
def test_the_page_is_right() -> None:
    """A project of its blocks passes its own test and ours, and its test database is dropped."""
    lock, consumer, test_case = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with short_folder() as folder, PostgreSQL(folder):
        (folder / "shop").mkdir()
        (folder / "shop/__init__.py").touch()
        (folder / "shop/lifespan.py").write_text(lock + consumer)
        (folder / "shop/tests.py").write_text(test_case + USE)
        (folder / "settings.py").write_text(SETTINGS)
        (folder / "manage.py").write_text(
            "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
            "from django.core.management import execute_from_command_line\n"
            "execute_from_command_line()\n"
        )
        command = [sys.executable, "-X", "dev", "-W", "error", "manage.py", "test"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 2 tests" in done.stderr
