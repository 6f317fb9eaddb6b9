"""The resources and their state as data, and the drawings of their requirements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from .lookup import find_lifespan
from .registry import registry
from .supervisor.graph import Node, connect

if TYPE_CHECKING:
    from .declaration import Resource

__all__ = ("LifespanStatus", "ResourceStatus", "declared", "lifespan_status", "mermaid", "tree")


class ResourceStatus(TypedDict):
    """One resource: its declaration, and its state, which is "open", "not open" or "died"."""

    name: str
    origin: str
    requires: list[str]
    startup_timeout: float | None
    shutdown_timeout: float | None
    keep_connections: bool
    has_check: bool
    state: str


class LifespanStatus(TypedDict):
    """One lifespan: its phase, whether its stop was announced, and its resources."""

    phase: str
    is_stopping: bool
    resources: list[ResourceStatus]


def lifespan_status() -> LifespanStatus:
    """Return the status of the lifespan that answers here, which JSON can hold.

    It is found as ``.get()`` of a resource finds its lifespan.

    Raises:
        ResourceUnavailableError: where no lifespan runs. The message says why.
    """
    lifespan = find_lifespan("The status of the lifespan")
    resources = cast("Mapping[Resource[Any], Sequence[Resource[Any]]]", lifespan.resources)
    return {
        "phase": lifespan.phase,
        "is_stopping": lifespan.stopping.is_set(),
        "resources": [
            {
                "name": each.name,
                "origin": each.origin,
                "requires": [required.name for required in requires],
                "startup_timeout": each.startup_timeout,
                "shutdown_timeout": each.shutdown_timeout,
                "keep_connections": each.keep_connections,
                "has_check": each.check is not None,
                "state": (
                    "open"
                    if each in lifespan.values
                    else "died"
                    if each in lifespan.died
                    else "not open"
                ),
            }
            for each, requires in resources.items()
        ],
    }


def declared() -> Mapping[Resource[Any], Sequence[Resource[Any]]]:
    """Return every declared resource with the resources that it requires.

    Raises:
        ResourceDeclarationError: they cannot be started.
    """
    resources = registry.resolve()
    nodes = {resource: Node() for resource in resources}
    names = {node: resource.name for resource, node in nodes.items()}
    connect(nodes, resources, name=names.__getitem__)
    return resources


def tree(resources: Mapping[Resource[Any], Sequence[Resource[Any]]], boxes: str) -> str:
    """Return a tree for each resource that no other requires, down to those without requirements.

    A resource that stands further up already has its own requirements there.
    """
    side, branch, last, line = boxes[1], boxes[3], boxes[4], boxes[5]
    shown: set[Resource[Any]] = set()

    def lines(each: Resource[Any], first: str, rest: str) -> Iterator[str]:
        is_new = each not in shown
        shown.add(each)
        requires = resources[each] if is_new else ()
        more = "" if is_new or not resources[each] else "  (see above)"
        yield first + "  ".join([each.name, f"({each.origin})", *_options(each)]) + more
        for number, required in enumerate(requires, 1):
            is_last = number == len(requires)
            corner = f"{last if is_last else branch}{line}{line} "
            yield from lines(required, rest + corner, rest + (" " if is_last else side) + "   ")

    required = {other for others in resources.values() for other in others}
    roots = [each for each in resources if each not in required]
    return "\n".join(text for root in roots for text in lines(root, "", ""))


def mermaid(resources: Mapping[Resource[Any], Sequence[Resource[Any]]]) -> str:
    """Return a diagram in the language of Mermaid, with an arrow to each requirement."""
    numbers = {each: f"r{number}" for number, each in enumerate(resources)}
    boxes = [f'    {numbers[each]}["{each.name}"]' for each in resources]
    arrows = [
        f"    {numbers[each]} --> {numbers[required]}"
        for each, requires in resources.items()
        for required in requires
    ]
    return "\n".join(["graph TD", *boxes, *arrows])


def _options(resource: Resource[Any]) -> Iterator[str]:
    for option in ("startup_timeout", "shutdown_timeout"):
        value: float | None = getattr(resource, option)
        if value is not None:
            yield f"{option}={value:g}"
    if resource.keep_connections:
        yield "keep_connections"
    if resource.check is not None:
        yield "check"
