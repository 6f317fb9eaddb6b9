"""Messages of the probes and of the checks that they make."""

from __future__ import annotations

import asyncio
from typing import Any

from django_asgi_lifespan import run_lifespan
from django_asgi_lifespan.conf import lifespan_settings
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.health import CACHED, failures
from django_asgi_lifespan.lifespans import lifespans
from django_asgi_lifespan.state import announce_stopping
from messages.lookups import broken, dying
from messages.phases import endless
from messages.table import COURSE, OWN, declare, says
from test_probes import ask

PROBE, IMPORT, SETTINGS = "probe", "import of lifespan.py", "settings"
SEE_THE_LOG = "see the log"


async def probed(settings: Any, name: str, method: str = "GET", **options: Any) -> str:
    """Return the answer of a probe of a worker that runs one resource."""
    settings.ASGI_LIFESPAN = {"PROBES": "/", "PROBES_VERBOSE": True}
    declare(**options)
    application = LifespanASGIHandler()
    driver = LifespanDriver(application)
    starting = asyncio.create_task(driver.__aenter__())
    await asyncio.wait([starting], timeout=1)
    try:
        return (await ask(application, f"/{name}?verbose", method))[1]
    finally:
        if starting.done() and starting.exception() is None:
            await driver.__aexit__(None, None, None)
        starting.cancel()
        await asyncio.wait([starting])


@says(PROBE, "Use GET or HEAD.\n", "Use GET or HEAD")
async def _a_probe_by_post(settings: Any) -> str:
    return await probed(settings, "livez", "POST")


@says(PROBE, "livez: the startup has failed: see the log\n", SEE_THE_LOG)
async def _a_probe_after_a_failed_startup(settings: Any) -> str:
    return await probed(settings, "livez", factory=broken)


@says(PROBE, "startupz: the startup goes on\npool: not open\n", COURSE)
async def _a_probe_during_the_startup(settings: Any) -> str:
    return await probed(settings, "startupz", factory=endless)


@says(PROBE, "readyz: the server has started no lifespan: see the log\n", SEE_THE_LOG)
async def _a_probe_without_a_lifespan(settings: Any) -> str:
    settings.ASGI_LIFESPAN = {"PROBES": "/"}
    declare()
    return (await ask(LifespanASGIHandler(), "/readyz"))[1]


@says(PROBE, "readyz: the worker stops\n", COURSE)
async def _a_probe_during_the_stop(settings: Any) -> str:
    settings.ASGI_LIFESPAN = {"PROBES": "/"}
    application = LifespanASGIHandler()
    async with LifespanDriver(application):
        announce_stopping()
        return (await ask(application, "/readyz"))[1]


async def _no(value: object) -> bool:
    return False


@says(
    PROBE,
    "readyz: a check fails: see the log\npool: the check returned False\n",
    SEE_THE_LOG,
)
async def _a_probe_whose_check_fails(settings: Any) -> str:
    return await probed(settings, "readyz", check=_no)


@says(PROBE, "readyz: a check fails: see the log\npool: its check fails\n", SEE_THE_LOG)
async def _a_probe_that_tells_no_reason(settings: Any) -> str:
    settings.ASGI_LIFESPAN = {"PROBES": "/"}
    declare(check=_no)
    application = LifespanASGIHandler()
    async with LifespanDriver(application):
        return (await ask(application, "/readyz?verbose"))[1]


async def _checked(seconds: float = 0) -> str:
    [lifespan] = lifespans.anywhere
    await asyncio.sleep(seconds)
    return str(await failures(lifespan))


@says("check", "The check of pool fails: the check returned False", OWN)
@says("check", "The check of pool passes again", COURSE)
async def _a_check_that_changes() -> None:
    answers = [False, True]

    async def check(value: object) -> bool:
        return answers.pop(0)

    declare(check=check)
    async with run_lifespan():
        while answers:
            await _checked(CACHED)


@says("check", "The check of pool fails: no answer within 1 s", OWN)
async def _a_check_that_hangs() -> None:
    async def check(value: object) -> None:
        await asyncio.Event().wait()

    declare(check=check)
    async with run_lifespan():
        await _checked()
        await asyncio.sleep(0)


@says("check", "…'pool': 'it died while it was running: ConnectionResetError: …", OWN)
async def _a_check_of_a_resource_that_died() -> str:
    declare(factory=dying, check=_no)
    async with run_lifespan():
        return await _checked(5)


@says("check", "{'pool': 'it is not open'}", COURSE)
async def _a_check_after_the_end() -> str:
    declare(check=_no)
    async with run_lifespan():
        [lifespan] = lifespans.anywhere
    return str(await failures(lifespan))


@says(
    IMPORT,
    "check of pool is 'ping' and must be a function that takes the open object: check=lambda pool: "
    "pool.ping().",
    "check=lambda pool: pool.ping()",
)
def _a_check_that_is_no_function() -> None:
    declare(check="ping")


@says(
    SETTINGS,
    "ASGI_LIFESPAN['PROBES'] is 'ops'; it must be a path that begins and ends with a slash, such "
    "as '/', or None.",
    "begins and ends with a slash",
)
def _a_prefix_without_a_slash(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"PROBES": "ops"}
    lifespan_settings()


@says(
    SETTINGS,
    "ASGI_LIFESPAN['DRAIN_DELAY'] is '5'; it must be a number of seconds, or 0 for no delay.",
    "a number of seconds",
)
def _a_drain_delay_that_is_a_string(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"DRAIN_DELAY": "5"}
    lifespan_settings()
