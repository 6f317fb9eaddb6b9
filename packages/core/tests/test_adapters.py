"""Which adapters are asked, when, and the error of a broken one.

The adapters here are packages that the tests write, of a server that does not exist.
"""

from __future__ import annotations

import asyncio
import sys
import textwrap
import types
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_asgi_lifespan import AdapterError, StartupFailedError, resource, run_lifespan
from django_asgi_lifespan.adapters import Adapter, discovery, is_held
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.lifespans import lifespans
from django_asgi_lifespan.state import announce_stopping

Write = Callable[..., list[str]]

HOOKS = """
    from contextlib import contextmanager

    from journal_of_the_test import journal

    def application_made(application):
        journal.append(f"made {type(application).__name__}")

    @contextmanager
    def around():
        journal.append("entered")
        try:
            yield
        finally:
            journal.append("left")

    def lifespan(receive):
        server = type(getattr(receive, "__self__", None)).__name__
        journal.append(f"asked about {server}")
        return around() if server == "LifespanDriver" else None
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server's module loaded in this process."""
    monkeypatch.setattr(discovery, "SERVERS", ("imaginary",))
    monkeypatch.setitem(sys.modules, "imaginary", types.ModuleType("imaginary"))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that installs an adapter, and returns its journal."""
    shared: Any = types.ModuleType("journal_of_the_test")
    shared.journal = []
    monkeypatch.setitem(sys.modules, "journal_of_the_test", shared)
    monkeypatch.syspath_prepend(tmp_path)

    def install(hooks: str = HOOKS, package: str = "django_asgi_lifespan_imaginary") -> list[str]:
        for name in (package, f"{package}.hooks"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "hooks.py").write_text(textwrap.dedent(hooks))
        journal: list[str] = shared.journal
        return journal

    return install


@pytest.mark.usefixtures("server")
async def test_the_adapter_of_a_loaded_server_is_there_for_the_whole_lifespan(write: Write) -> None:
    """It is told of the application, entered before anything starts, left when all has stopped."""
    journal = write()

    @resource
    async def a() -> AsyncIterator[None]:
        journal.append("a opens")
        yield
        journal.append("a closes")

    async with LifespanDriver(get_asgi_application()):
        journal.append("serving")
    assert journal == [
        "made LifespanASGIHandler",
        "asked about LifespanDriver",
        "entered",
        "a opens",
        "serving",
        "a closes",
        "left",
    ]


@pytest.mark.usefixtures("server")
async def test_the_adapter_is_left_where_the_lifespan_is_cancelled(write: Write) -> None:
    """As everywhere else that it ends."""
    journal = write()
    opening = asyncio.Event()

    @resource
    async def never() -> AsyncIterator[None]:
        opening.set()
        await asyncio.Event().wait()
        yield

    startup = asyncio.ensure_future(LifespanDriver(get_asgi_application()).startup())
    await opening.wait()
    startup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await startup
    assert journal[-2:] == ["entered", "left"]


@pytest.mark.usefixtures("server")
async def test_an_adapter_that_says_no_is_left_alone(write: Write) -> None:
    """Another server drives the lifespan, as its receive says."""
    journal = write()
    application = get_asgi_application()

    async def forwarding(scope: Any, receive: Any, send: Any) -> None:
        async def another_receive() -> Any:
            return await receive()

        await application(scope, another_receive, send)

    async with LifespanDriver(forwarding):
        assert journal == ["made LifespanASGIHandler", "asked about NoneType"]


@pytest.mark.usefixtures("server")
def test_each_application_is_told_of(write: Write) -> None:
    """One around another as well."""
    journal = write()
    LifespanApplication(get_asgi_application())
    assert journal == ["made LifespanASGIHandler", "made LifespanApplication"]


@pytest.mark.usefixtures("server")
def test_a_server_without_its_adapter_is_served_as_ever() -> None:
    """Nothing is missed where none is installed."""
    get_asgi_application()


def test_the_adapter_of_a_server_that_is_not_loaded_is_not_imported(
    monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    """So nobody pays for it."""
    monkeypatch.setattr(discovery, "SERVERS", ("imaginary",))
    journal = write()
    get_asgi_application()
    assert journal == []
    assert "django_asgi_lifespan_imaginary" not in sys.modules


def test_further_adapters_are_named_in_the_settings(write: Write, settings: Any) -> None:
    """By the dotted name of the module with the hooks, no matter which server is loaded."""
    settings.ASGI_LIFESPAN = {"ADAPTERS": ["shop_server.hooks"]}
    journal = write(package="shop_server")
    get_asgi_application()
    assert journal == ["made LifespanASGIHandler"]


@pytest.mark.usefixtures("server")
def test_none_forbids_all_adapters(write: Write, settings: Any) -> None:
    """Those that are found by themselves, too."""
    settings.ASGI_LIFESPAN = {"ADAPTERS": None}
    journal = write()
    get_asgi_application()
    assert journal == []


@pytest.mark.usefixtures("server")
async def test_a_broken_adapter_is_an_error_with_the_remedy(write: Write) -> None:
    """When the application is made, and at the startup where the server is loaded only then."""
    application: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "SERVERS", ())
        application = get_asgi_application()
    write("import a_module_that_is_not_there")
    message = (
        "The adapter django_asgi_lifespan_imaginary.hooks cannot be imported: ModuleNotFoundError: "
        "No module named 'a_module_that_is_not_there'. Install it anew: pip install "
        '"django-asgi-lifespan[imaginary]>=1". To run without any adapter, set '
        "ASGI_LIFESPAN['ADAPTERS'] to None. [lifespan-adapter-import]"
    )
    with pytest.raises(AdapterError) as error:
        get_asgi_application()
    assert str(error.value) == message
    assert isinstance(error.value, ImproperlyConfigured)
    with pytest.raises(StartupFailedError) as failure:
        await LifespanDriver(application).startup()
    assert str(failure.value) == message


HOOKS_WITH_A_CLASS = """
    import contextlib

    from django_asgi_lifespan.adapters import Adapter, hold, is_held
    from journal_of_the_test import journal

    class ImaginaryAdapter(Adapter):
        def __init__(self):
            journal.append("made")

        def lifespan(self, lifespan):
            journal.append(f"asked by a lifespan with receive: {lifespan.receive is not None}")
            return None if is_held(Adapter) else hold(Adapter)
"""


@pytest.mark.usefixtures("server")
async def test_an_adapter_is_a_class_of_which_a_process_has_one_instance(write: Write) -> None:
    """It is found by its name; a method that it leaves out does nothing."""
    journal = write(HOOKS_WITH_A_CLASS)
    async with LifespanDriver(get_asgi_application()):
        pass
    async with LifespanDriver(get_asgi_application()):
        pass
    assert journal == ["made", *["asked by a lifespan with receive: True"] * 2]


def test_the_base_class_does_nothing() -> None:
    """An author overrides the methods that the server needs."""
    adapter = Adapter()
    adapter.application_made(object())
    assert adapter.lifespan(cast("Any", None)) is None


@pytest.mark.usefixtures("server")
async def test_a_lifespan_outside_of_a_handler_asks_the_adapters(write: Write) -> None:
    """It may stand in the lifespan of an application in front, which the server drives.

    A server that one lifespan holds is not found by another one.
    """
    journal = write(HOOKS_WITH_A_CLASS)
    async with run_lifespan():
        [outer] = lifespans.running[asyncio.get_running_loop()]
        async with run_lifespan():
            _, inner = lifespans.running[asyncio.get_running_loop()]
            assert outer.is_adapted
            assert not inner.is_adapted
    assert journal == ["made", *["asked by a lifespan with receive: False"] * 2]
    assert not is_held(Adapter)


@pytest.mark.usefixtures("server")
async def test_the_functions_of_version_1_0_are_asked_by_handlers_alone(write: Write) -> None:
    """Their function takes the callable that a server passes."""
    journal = write()
    async with run_lifespan():
        pass
    assert journal == []


async def test_only_the_lifespan_of_the_server_is_told_of_its_stop(
    write: Write, settings: Any
) -> None:
    """One that a view runs goes on."""
    write(HOOKS_WITH_A_CLASS, package="shop_server")
    settings.ASGI_LIFESPAN = {"ADAPTERS": ["shop_server.hooks.ImaginaryAdapter"]}
    async with run_lifespan(), run_lifespan():
        outer, inner = lifespans.running[asyncio.get_running_loop()]
        announce_stopping()
        assert outer.stopping.is_set()
        assert not inner.stopping.is_set()


@pytest.mark.parametrize(
    "name", ["shop_server.hooks.ImaginaryAdapter", "shop_server.hooks.nothing"]
)
def test_an_adapter_in_the_settings_may_be_a_class(write: Write, settings: Any, name: str) -> None:
    """Named by its module and its own name."""
    settings.ASGI_LIFESPAN = {"ADAPTERS": [name]}
    journal = write(HOOKS_WITH_A_CLASS, package="shop_server")
    if name.endswith("nothing"):
        with pytest.raises(AdapterError, match=r"No module named 'shop_server.hooks.nothing'"):
            get_asgi_application()
    else:
        get_asgi_application()
        assert journal == ["made"]


def test_a_class_that_is_no_adapter_says_so(settings: Any) -> None:
    """Its base class is missing."""
    settings.ASGI_LIFESPAN = {"ADAPTERS": ["json.JSONDecoder"]}
    with pytest.raises(
        AdapterError,
        match=r"JSONDecoder'> is no subclass of django_asgi_lifespan.adapters.Adapter. It is named",
    ):
        get_asgi_application()


def test_a_module_that_is_no_adapter_says_what_it_lacks(settings: Any) -> None:
    """Both functions have to be there."""
    settings.ASGI_LIFESPAN = {"ADAPTERS": ["json"]}
    with pytest.raises(
        AdapterError, match=r"The adapter json has no application_made and no lifespan\(\)"
    ):
        get_asgi_application()
