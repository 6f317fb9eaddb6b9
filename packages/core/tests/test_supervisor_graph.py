"""Which resource waits for which, without an event loop, and which resources it may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import Resource, ResourceDeclarationError, ResourceUnavailableError
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.resources import registry
from django_asgi_lifespan.supervisor import graph

DIAMOND: dict[str, list[str]] = {
    "pool": [],
    "cache": ["pool"],
    "search": ["pool"],
    "catalogue": ["cache", "search"],
}


class Named(graph.Node):
    """A node with a name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def connected(requirements: dict[str, list[str]]) -> dict[str, Named]:
    """Return the connected nodes of *requirements*."""
    nodes = {name: Named(name) for name in requirements}
    graph.connect(nodes, requirements, name=lambda node: node.name)
    return nodes


def names(nodes: Any) -> list[str]:
    """Return the names of *nodes*."""
    return [node.name for node in nodes]


def test_a_node_is_ready_to_open_when_all_that_it_requires_are_open() -> None:
    """The last of them says so."""
    nodes = connected(DIAMOND)
    assert names(node for node in nodes.values() if not node.unopened_requirements) == ["pool"]
    assert names(graph.opened(nodes["pool"])) == ["cache", "search"]
    assert names(graph.opened(nodes["search"])) == []
    assert names(graph.opened(nodes["cache"])) == ["catalogue"]


def test_a_node_is_ready_to_close_when_all_that_require_it_are_closed() -> None:
    """A node that never began is not waited for."""
    nodes = connected(DIAMOND)
    begun = [nodes[name] for name in ("search", "cache", "pool")]
    assert names(graph.ready_to_close(begun)) == ["search", "cache"]
    assert names(graph.closed(nodes["cache"])) == []
    assert names(graph.closed(nodes["search"])) == ["pool"]


@pytest.mark.parametrize("length", [2, 10_000])
def test_a_circle_is_named_in_a_line(length: int) -> None:
    """Of a long one only the beginning."""
    requirements = {str(number): [str((number + 1) % length)] for number in range(length)}
    with pytest.raises(ResourceDeclarationError, match="in a circle: ") as error:
        connected(requirements)
    assert len(str(error.value)) < 500
    assert ("more" in str(error.value)) == (length > 10)


def declare(requirements: dict[str, list[str]], reads: dict[str, list[str]]) -> list[str]:
    """Declare a resource for each name, which reads others by ``.get()``, and return a journal."""
    journal: list[str] = []
    declared: dict[str, Resource[str]] = {}

    def add(name: str) -> None:
        async def factory() -> AsyncIterator[str]:
            for other in reads.get(name, ()):
                try:
                    journal.append(f"{name} gets {declared[other].get()}")
                except ResourceUnavailableError:
                    journal.append(f"{name} may not get {other}")
            yield name

        declared[name] = Resource(factory, name=name, requires=requirements[name])
        registry.add(declared[name])

    for name in requirements:
        add(name)
    return journal


async def test_a_resource_may_ask_for_those_that_it_requires_also_through_others() -> None:
    """As often as it likes, and for no other."""
    journal = declare(
        {**DIAMOND, "mail": []},
        {"catalogue": ["cache", "pool", "pool", "mail"], "cache": ["search", "pool"]},
    )
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert sorted(journal) == [
        "cache gets pool",
        "cache may not get search",
        "catalogue gets cache",
        "catalogue gets pool",
        "catalogue gets pool",
        "catalogue may not get mail",
    ]
