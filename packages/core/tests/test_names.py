"""The names of resources: two of one name, modules that are executed again, the setting NAMES."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Callable
from importlib import import_module, invalidate_caches, reload
from pathlib import Path
from typing import Any

import pytest
from django.test import SimpleTestCase
from typing_extensions import Self

from django_asgi_lifespan import (
    Resource,
    ResourceDeclarationError,
    resource,
    run_lifespan,
)
from django_asgi_lifespan.resources import registry


async def values() -> AsyncIterator[int]:
    """Yield a value, as the simplest resource does."""
    yield 1


class Pool:
    """A class that is an async context manager."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None: ...


def clash() -> str:
    """The error of two resources of one name."""
    with pytest.raises(ResourceDeclarationError) as error:
        registry.resolve()
    return str(error.value)


def _by_factory() -> None:
    def pool_for(alias: str) -> Resource[str]:
        @resource
        async def pool() -> AsyncIterator[str]:
            yield alias

        return pool

    pool_for("primary")
    pool_for("replica")


def _by_one_line() -> None:
    for _ in range(2):
        resource(values, name="pool")


def _by_two_lambdas_of_one_line() -> None:
    _ = [resource(lambda: Pool(), name="pool"), resource(lambda: Pool(), name="pool")]  # noqa: PLW0108


def _by_partial_functions() -> None:
    for _ in range(2):
        resource(functools.partial(Pool), name="pool")


def _by_a_class() -> None:
    resource(name="pool")(Pool)
    resource(name="pool")(Pool)


@pytest.mark.parametrize(
    "declare",
    [
        _by_factory,
        _by_one_line,
        _by_two_lambdas_of_one_line,
        _by_partial_functions,
        _by_a_class,
    ],
)
def test_it_does_not_matter_which_lines_declare_them(declare: Callable[[], None]) -> None:
    """The second resource never takes the place of the first one without a word."""
    declare()
    assert clash().startswith("Two resources are named 'pool': ")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a module of a Django app, with the imports that declarations need."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)

    def write_module(name: str, text: str) -> None:
        package, _, module = name.partition(".")
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / f"{module}.py").write_text(
            f"from {__name__} import Pool, values\n"
            f"from django_asgi_lifespan import resource, mounted_application\n{text}"
        )
        invalidate_caches()

    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    yield write_module
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("again", "vendor_a", "vendor_b", "helping"):
            del sys.modules[name]


EVERY_FORM = """
@resource
async def function():
    yield 1
of_class = resource(Pool, name="of_class")
of_lambda = resource(lambda: Pool(), name="of_lambda")
of_another_module = resource(values, name="of_another_module")
mounted = mounted_application(print, name="mounted")
"""
FORMS = ["function", "of_class", "of_lambda", "of_another_module", "mounted"]


def test_a_module_that_failed_in_the_middle_may_be_executed_again(write: Any) -> None:
    """Its resources of the second time take the place of the first ones, in any form."""
    write("again.lifespan", f"{EVERY_FORM}\n1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        import_module("again.lifespan")
    write("again.lifespan", f"{EVERY_FORM}\n\n")
    module: Any = import_module("again.lifespan")
    assert registry.names() == FORMS
    assert [*registry.resolve()] == [getattr(module, name) for name in FORMS]


def test_a_module_may_fail_as_often_as_it_is_imported(write: Any) -> None:
    """Unchanged, its code is equal each time."""
    write("again.lifespan", f"{EVERY_FORM}\n1 / 0\n")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            import_module("again.lifespan")
    assert registry.names() == FORMS
    assert len(registry.resolve()) == len(FORMS)


def test_a_module_may_be_reloaded(write: Any) -> None:
    """As shells and notebooks do."""
    write("again.lifespan", EVERY_FORM)
    module = import_module("again.lifespan")
    reload(module)
    assert registry.names() == FORMS
    assert [*registry.resolve()] == [getattr(module, name) for name in FORMS]


def test_a_cell_of_a_notebook_may_be_executed_again() -> None:
    """Changed or not, its resources take the place of those of before, and others stay."""
    names = {"__name__": "__main__"}
    exec("from django_asgi_lifespan import resource", names)
    for cell, number in [("a", 1), ("b", 1), ("a", 1), ("a", 2)]:
        text = f"@resource\nasync def {cell}():\n    yield {number}\n"
        exec(compile(text, f"<cell {cell} {number}>", "exec"), names)
    assert registry.names() == ["b", "a"]
    assert {*registry.resolve()} == {names["a"], names["b"]}


def test_a_helper_of_another_module_declares_for_its_caller(write: Any) -> None:
    """If the caller is executed again, the resources of the helper are not there twice."""
    write("helping.helper", "def declare(name):\n    return resource(values, name=name)\n")
    text = "from helping.helper import declare\none = declare('one')\ntwo = declare('two')\n"
    write("again.lifespan", f"{text}1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        import_module("again.lifespan")
    write("again.lifespan", text)
    import_module("again.lifespan")
    assert registry.names() == ["one", "two"]
    import_module("helping.helper").declare("one")
    assert clash().startswith("Two resources are named 'one'")


def test_a_namespace_without_a_name_declares_too() -> None:
    """Nothing is replaced there."""
    for _ in range(2):
        exec(
            "from django_asgi_lifespan import resource\n@resource\nasync def a():\n    yield\n",
            {"__name__": None},
        )
    assert registry.names() == ["a"]


# NAMES

CLIENT = "@resource\nasync def client():\n    yield __name__\n"


@pytest.fixture
def vendors(write: Any) -> None:
    """Two Django apps of other people, each with a resource ``client``."""
    write("vendor_a.lifespan", CLIENT)
    write(
        "vendor_b.lifespan",
        f"{CLIENT}\n@resource(requires=['client'])\nasync def user():\n    yield client.get()\n",
    )


APPS = ["vendor_a", "vendor_b"]


async def test_the_setting_solves_the_clash(vendors: None, settings: Any) -> None:
    """The state has the new name, and a neighbour finds the resource by its old one."""
    settings.ASGI_LIFESPAN = {"NAMES": {"vendor_b.lifespan.client": "b_client"}}
    with SimpleTestCase().settings(INSTALLED_APPS=APPS):
        async with run_lifespan() as state:
            assert state == {
                "client": "vendor_a.lifespan",
                "b_client": "vendor_b.lifespan",
                "user": "vendor_b.lifespan",
            }
            assert registry.names() == ["client", "b_client", "user"]
        settings.ASGI_LIFESPAN = {}
        assert "Two resources are named 'client'" in clash()


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("vendor_b.lifespan.clinet", "Did you mean 'vendor_b.lifespan.client'? "),
        ("elsewhere", ""),
    ],
)
async def test_a_name_for_an_unknown_resource_is_an_error(
    vendors: None, settings: Any, address: str, hint: str
) -> None:
    """It names the likely one."""
    settings.ASGI_LIFESPAN = {"NAMES": {address: "b_client"}}
    import_module("vendor_a.lifespan")
    import_module("vendor_b.lifespan")
    assert clash() == (
        f"ASGI_LIFESPAN['NAMES'] renames {address!r}, and no such resource is declared. {hint}"
        f"Write module and name, such as 'vendor.lifespan.client'. "
        f"[lifespan-unknown-resource]"
    )
