"""Messages about declarations and settings. They appear at the import, or at the startup."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.test import SimpleTestCase
from typing_extensions import Self

from django_asgi_lifespan import mounted_application, resource, run_lifespan_sync
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.conf import lifespan_settings
from django_asgi_lifespan.legacy import send_lifespan_signal_collecting_contexts
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.registry import discover, registry
from django_asgi_lifespan.signals import asgi_lifespan
from messages.table import declare, says, start

IMPORT, STARTUP, TEST, SETTINGS = "import of lifespan.py", "startup", "test", "settings"


class Pool:
    """An asynchronous context manager."""

    def __init__(self, url: str = "") -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None: ...

    async def method(self) -> AsyncIterator[Any]:
        yield self


# Factories


@says(
    IMPORT,
    "resource() was called with the string 'client', and takes a function. To name a resource, "
    "write '@resource(name='client')' above its function.",
    "write '@resource(name='client')' above its function",
)
def _a_string_in_place_of_a_function() -> None:
    resource("client")  # type: ignore[call-overload]


@says(
    IMPORT,
    "<…Pool object…> is an instance; what is wanted is a function, because each lifespan opens the "
    "resource anew. Write '@resource' above a generator function that yields the object, or pass a "
    "function that makes it.",
    "Write '@resource' above a generator function",
)
def _an_instance() -> None:
    resource(Pool())  # type: ignore[call-overload]


@says(
    IMPORT,
    "….pool is a coroutine function without 'yield', so nothing would close what it opens. Yield "
    "the value instead of returning it, and close it after the yield.",
    "Yield the value instead of returning it",
)
def _a_coroutine_function() -> None:
    @resource  # type: ignore[arg-type]
    async def pool() -> int:
        return 1


@says(
    IMPORT,
    "….Database takes the parameter 'url', and the lifespan has nothing to pass but the "
    "application, as the only one, named 'app' or 'application' or annotated as an ASGI "
    "application. To use other resources, call .get() on them, and name them in requires=[...]. "
    "To pass arguments, write a function: resource(lambda: Database(...), name='...').",
    "write a function: resource(lambda: Database(...), name='...')",
)
def _a_parameter() -> None:
    class Database(Pool):
        def __init__(self, url: str) -> None: ...

    declare("database", Database)


@says(
    IMPORT,
    "….Pool.method takes the parameter 'self', and the lifespan has nothing to pass but the "
    "application, as the only one, named 'app' or 'application' or annotated as an ASGI "
    "application. It is a method, and there is no object to call it on. Declare a function of a "
    "module.",
    "Declare a function of a module",
)
def _a_method() -> None:
    declare("pool", Pool.method)


@says(
    STARTUP,
    "pool failed to start: The resource pool (….<lambda>) returned None, which is no context "
    "manager. Yield the value from a generator function, or return an object that works with "
    "'async with' or 'with'.",
    "Yield the value from a generator function",
)
async def _a_function_without_a_result() -> None:
    declare("pool", lambda: None)
    await start()


@says(
    STARTUP,
    "pool failed to start: RuntimeError: generator didn't yield: it has to, once",
    "it has to, once",
)
async def _a_generator_without_a_yield() -> None:
    async def pool() -> AsyncIterator[None]:
        for each in ():
            yield each

    declare("pool", pool)
    await start()


@says(
    "shutdown",
    "pool failed to stop: RuntimeError: generator didn't stop: it has to yield once, and no more",
    "it has to yield once, and no more",
)
async def _a_generator_that_yields_twice() -> None:
    async def pool() -> AsyncIterator[int]:
        yield 1
        yield 2

    declare("pool", pool)
    await start()


@says(
    IMPORT,
    "mounted_application() takes an application or a factory, and a name: "
    "mounted_application(application, name='...').",
    "mounted_application(application, name='...')",
)
def _a_mounted_application_without_a_name() -> None:
    mounted_application(factory=Pool)  # type: ignore[arg-type]


@says(
    STARTUP,
    "api failed to start: the application has no lifespan: pass requests to it as it is",
    "pass requests to it as it is",
)
async def _a_mounted_application_without_a_lifespan() -> None:
    async def api(scope: Any, receive: Any, send: Any) -> None: ...

    mounted_application(api, name="api")
    await start()


# Options


@says(
    IMPORT,
    "@resource has no option 'require'. Did you mean 'requires'? The options are name, requires, "
    "startup_timeout, shutdown_timeout….",
    "Did you mean 'requires'? The options are",
)
def _an_unknown_option() -> None:
    declare(require=["client"])


@says(
    IMPORT,
    "….<lambda> needs a name that is a Python identifier, not '<lambda>': resource(..., "
    "name='...').",
    "resource(..., name='...')",
)
def _a_lambda_without_a_name() -> None:
    resource(lambda: Pool())  # noqa: PLW0108


@says(
    IMPORT,
    "requires of pool is a string and must be a list: requires=['client'].",
    "must be a list: requires=['client']",
)
def _a_string_in_place_of_a_list() -> None:
    declare(requires="client")


@says(
    IMPORT,
    "requires of pool is a resource and must be a list: requires=[client].",
    "must be a list: requires=[client]",
)
def _a_resource_in_place_of_a_list() -> None:
    declare(requires=declare("client"))


@says(
    IMPORT,
    "requires of pool is 5 and must be a list of resources, or of names of resources.",
    "must be a list of resources",
)
def _a_number_in_place_of_a_list() -> None:
    declare(requires=5)


@says(
    IMPORT,
    "pool requires 5, which is neither a resource nor the name of one: requires=[resource, "
    "'name'].",
    "requires=[resource, 'name']",
)
def _a_number_in_the_list() -> None:
    declare(requires=[5])


@says(
    IMPORT,
    "startup_timeout of pool is 0; it must be a positive number of seconds, or None for no limit.",
    "it must be a positive number of seconds",
)
def _a_wrong_limit() -> None:
    declare(startup_timeout=0)


# Several resources


@says(
    STARTUP,
    "Two resources are named 'pool': ….values and ….Pool. Rename one, or give it "
    "@resource(name='...').",
    "Rename one, or give it @resource(name='...')",
)
async def _two_of_one_name() -> None:
    async def values() -> AsyncIterator[int]:
        yield 1

    declare("pool", values)
    declare("pool", Pool)
    await start()


@says(
    STARTUP,
    "Two resources are named 'pool': vendor_a.lifespan.pool and vendor_b.lifespan.pool. Rename "
    "one, or give it @resource(name='...'). Where both are those of other people, choose a name in "
    "the settings: ASGI_LIFESPAN = {'NAMES': {'vendor_b.lifespan.pool': 'vendor_b_pool'}}.",
    "ASGI_LIFESPAN = {'NAMES': {'vendor_b.lifespan.pool': 'vendor_b_pool'}}",
)
async def _two_of_one_name_of_other_people() -> None:
    for module in ("vendor_a.lifespan", "vendor_b.lifespan"):
        exec(
            "from django_asgi_lifespan import resource\n@resource\nasync def pool():\n    yield\n",
            {"__name__": module},
        )
    await start()


@says(
    STARTUP,
    "catalogue (…._values) requires 'http_clinet', and no such resource is declared. Did you mean "
    "'http_client'? Declared are: catalogue, http_client.",
    "Did you mean 'http_client'?",
)
async def _an_unknown_requirement() -> None:
    declare("http_client")
    declare("catalogue", requires=["http_clinet"])
    await start()


@says(
    STARTUP,
    "… requires 'unknown', and no such resource is declared. Declared are: r00, …, r09, and 21 "
    "more.",
    "Declared are: ",
)
async def _an_unknown_requirement_among_many() -> None:
    for number in range(30):
        declare(f"r{number:02}")
    declare("z", requires=["unknown"])
    await start()


@says(
    STARTUP,
    "The resources require each other in a circle: …a requires b requires …. Remove one of these "
    "requirements, or move what both need into a resource of its own.",
    "Remove one of these requirements, or move what both need",
)
async def _a_circle() -> None:
    declare("a", requires=["b"])
    declare("b", requires=["a"])
    await start()


# Django apps and their modules


@says(
    IMPORT,
    "said_vendor.lifespan cannot be imported: ModuleNotFoundError: No module named 'nowhere'. It "
    "is imported because resources are looked for in the module 'lifespan' of every installed "
    "Django app. If this one is about something else, name the Django apps that declare "
    "resources: ASGI_LIFESPAN = {'AUTODISCOVER': []}.",
    "ASGI_LIFESPAN = {'AUTODISCOVER': []}",
)
def _a_module_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "said_vendor").mkdir()
    (tmp_path / "said_vendor" / "__init__.py").touch()
    (tmp_path / "said_vendor" / "lifespan.py").write_text("import nowhere\n")
    with SimpleTestCase().settings(INSTALLED_APPS=["said_vendor"]):
        discover()


@says(
    SETTINGS,
    "ASGI_LIFESPAN['AUTODISCOVER'] names 'django_asgi_lifspan', and no installed Django app has "
    "this label. Did you mean 'django_asgi_lifespan'? Installed are: django_asgi_lifespan.",
    "Did you mean 'django_asgi_lifespan'?",
)
def _an_unknown_label(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"AUTODISCOVER": ["django_asgi_lifspan"]}
    discover()


@says(
    SETTINGS,
    "ASGI_LIFESPAN['NAMES'] renames 'nowhere.client', and no such resource is declared. Write "
    "module and name, such as 'vendor.lifespan.client'.",
    "Write module and name, such as",
)
def _a_name_for_no_resource(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"NAMES": {"nowhere.client": "client"}}
    registry.resolve()


@says(
    "script",
    "Django is not set up, so its apps cannot be asked for their resources. In a script, call "
    "django.setup() first. In asgi.py, call django_asgi_lifespan.asgi.get_asgi_application(), "
    "which does it.",
    "call django.setup() first",
)
def _django_that_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "apps_ready", False)
    LifespanApplication(Pool)  # type: ignore[arg-type]


@says(
    "script",
    "AppRegistryNotReady: Django is not set up, so its apps cannot be asked for their resources. "
    "In a script, call django.setup() first. …",
    "call django.setup() first",
)
def _a_lifespan_in_django_that_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "apps_ready", False)
    with run_lifespan_sync():
        pass


# Settings

KEYS = (
    "STARTUP_TIMEOUT, STARTUP_WARNING, SHUTDOWN_TIMEOUT, MIRROR_STATE, AUTODISCOVER, NAMES, "
    "ADAPTERS"
)
SECONDS = "it must be a positive number of seconds, or None for no limit."

for given, message, remedy in [
    (
        [],
        f"ASGI_LIFESPAN is []; it must be a dictionary with the keys {KEYS}…, all optional.",
        "it must be a dictionary",
    ),
    (
        {"ADAPTER": []},
        f"ASGI_LIFESPAN has no key 'ADAPTER'. Did you mean 'ADAPTERS'? The keys are {KEYS}….",
        "Did you mean 'ADAPTERS'? The keys are",
    ),
    (
        {"STARTUP_TIMEOUT": "5"},
        f"ASGI_LIFESPAN['STARTUP_TIMEOUT'] is '5'; {SECONDS}",
        SECONDS,
    ),
    (
        {"MIRROR_STATE": None},
        "ASGI_LIFESPAN['MIRROR_STATE'] is None; it must be True or False.",
        "it must be True or False",
    ),
    (
        {"AUTODISCOVER": "shop"},
        (
            "ASGI_LIFESPAN['AUTODISCOVER'] is 'shop'; it must be True, False or a list of the "
            "labels of Django apps."
        ),
        "a list of the labels of Django apps",
    ),
    (
        {"NAMES": ["a"]},
        (
            "ASGI_LIFESPAN['NAMES'] is ['a']; it must be a dictionary such as "
            "{'vendor.lifespan.client': 'vendor_client'}."
        ),
        "such as {'vendor.lifespan.client': 'vendor_client'}",
    ),
    (
        {"ADAPTERS": "one"},
        (
            "ASGI_LIFESPAN['ADAPTERS'] is 'one'; it must be a list of dotted module names, or None "
            "for no adapter at all."
        ),
        "a list of dotted module names",
    ),
]:

    @says(SETTINGS, message, remedy, about=given)
    def _a_wrong_setting(settings: Any, given: Any = given) -> None:
        settings.ASGI_LIFESPAN = given
        lifespan_settings()


# Stand-ins for tests

KINDS = "It decorates functions, coroutine functions and test classes."


@says(
    TEST,
    "pool.override() takes either a value or a function that a lifespan opens: override(value) or "
    "override(factory=function).",
    "override(value) or override(factory=function)",
)
def _an_override_by_nothing() -> None:
    declare().override()  # type: ignore[call-overload]


@says(
    TEST,
    "pool.override() decorates functions, coroutine functions and test classes, not <function "
    "…fixture…>. Inside of it, write 'with pool.override(...):'.",
    "Inside of it, write 'with pool.override(...):'",
)
def _an_override_above_a_generator_function() -> None:
    @declare().override(1)
    def fixture() -> Any:
        yield


@says(
    TEST,
    "pool.override() stands above ….Helper, which has no test methods. It decorates functions, "
    "coroutine functions and test classes.",
    "It decorates functions, coroutine functions and test classes",
)
def _an_override_above_another_class() -> None:
    @declare().override(1)
    class Helper: ...


# Names of 0.5


@says(
    STARTUP,
    "….manager failed to start: The lifespan manager ….manager yielded 1; it must yield a mapping "
    "to be merged into the state.",
    "it must yield a mapping",
)
async def _a_manager_that_yields_no_mapping() -> None:
    async def manager() -> AsyncIterator[Any]:
        yield 1

    register_lifespan_manager(context_manager=manager)  # type: ignore[arg-type]
    await start()


@says(
    STARTUP,
    "The lifespan scope has no 'state'. Give it one: {'type': 'lifespan', 'state': {}}.",
    "Give it one: {'type': 'lifespan', 'state': {}}",
)
async def _a_scope_without_a_state() -> None:
    await send_lifespan_signal_collecting_contexts(asgi_lifespan, {"type": "lifespan"})
