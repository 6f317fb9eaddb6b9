"""Programs around a command: ``python wrappers.py WRAPPER COMMAND...``.

Source: pid_namespaces(7) for the first process of a container.
"""

from __future__ import annotations

import os
import signal
import sys

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def first_process(command: list[str]) -> int:
    """Run the command as the process 1 of a namespace, forward OS signals, return its exit code."""
    if sys.version_info < (3, 12) or sys.platform != "linux":
        raise SystemExit("needs Linux and Python 3.12")
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    os.unshare(os.CLONE_NEWPID)  # for children from here on
    child = os.fork()
    if not child:
        # Like a container, it hears only the OS signals that this process forwards.
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        os.execvp(command[0], command)
    while True:
        number = signal.sigtimedwait(FORWARDED, 0.02)
        if number is not None:
            os.kill(child, number.si_signo)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def stdout_closed(command: list[str]) -> None:
    """Run the command with a closed standard output."""
    os.close(1)
    os.execvp(command[0], command)


def stdout_broken(command: list[str]) -> None:
    """Run the command with a pipe as standard output that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    wrappers = {
        "first-process": first_process,
        "stdout-closed": stdout_closed,
        "stdout-broken": stdout_broken,
    }
    sys.exit(wrappers[sys.argv[1]](sys.argv[2:]))
