"""Request threads at the end of a process that nobody shut down, and in inherited contexts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("ending_program.py")


@pytest.mark.parametrize("kept", ["None", "4"])
def test_a_process_ends_without_a_shutdown_while_a_thread_is_lent(kept: str) -> None:
    """As under stock Django: it waits for the code that runs, and for nothing else."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), kept],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "main ended\n"
        assert process.communicate("go on\n", timeout=60) == ("go on\n", "")
        assert process.returncode == 0


@pytest.mark.skipif(sys.version_info < (3, 14), reason="threads begin in an empty context there")
def test_a_thread_inherits_no_context_of_a_request() -> None:
    """Where ``-X thread_inherit_context`` lets a thread keep the context that it begins in."""
    test = Path(__file__).with_name("test_equivalence.py")
    done = subprocess.run(
        [
            *(sys.executable, "-X", "thread_inherit_context=1", "-m", "pytest"),
            *("-p", "no:cacheprovider", f"{test}::test_the_objects_of_a_request_are_freed"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout
