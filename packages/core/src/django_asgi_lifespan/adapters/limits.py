"""The only time constants of a stop."""

__all__ = (
    "DEFAULT_LIMIT",
    "DRAIN_SHARE",
    "GRACE",
    "KILL_LIMIT",
    "KILL_MARGIN",
    "LAST_WORK",
    "POLL",
    "QUICK_LIMIT",
    "RELOAD_LIMIT",
    "SAME_STOP",
    "SAY_AFTER",
)

DEFAULT_LIMIT = 10
"""Seconds that requests have by default, where the server itself has no limit.

With the 20 that the shutdown has, they are the 30 after which Kubernetes kills by default.
"""

KILL_LIMIT = 30
"""Those 30 seconds, where a parent process kills and has no limit by itself."""

QUICK_LIMIT = 3.0
"""Seconds that requests have where the OS signal asks for a quick stop."""

RELOAD_LIMIT = 1
"""Seconds that requests have while developing: nobody wants to wait for a stream at a reload."""

GRACE = 1.0
"""Seconds that requests have to end after they were given up, the last of their limit.

After the first half their tasks are cancelled.
"""

SAME_STOP = 0.5
"""Seconds in which further OS signals tell of the same stop, not of more haste.

A program that runs the server sends it SIGTERM at Ctrl+C, while the terminal sends SIGINT.
"""

DRAIN_SHARE = 0.6
"""The part that requests get where the parent process kills a worker. The shutdown gets the rest.

Requests that end sooner leave their part to the shutdown.
"""

LAST_WORK = 1.25
"""Seconds that a lifespan which is cancelled twice still takes, at most.

Its resources have a second. The rest is for those that are closed after the last one was given up.
"""

KILL_MARGIN = 0.1
"""The part of that time, one second at most, that is left for the end of the process itself."""

POLL = 0.05
"""Seconds between two looks at the requests in flight, while the server stops."""

SAY_AFTER = 0.5
"""Seconds after which the log tells that the stop waits for requests.

Many end sooner, and a request that was answered just now would look like a leak.
"""
