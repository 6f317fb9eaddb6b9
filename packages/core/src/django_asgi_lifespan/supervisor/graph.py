"""Which resource waits for which: requirements, circles, ready to open, ready to close."""

from __future__ import annotations

import graphlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django_asgi_lifespan.errors import ResourceDeclarationError, shorten

__all__ = ("Node", "all_required", "closed", "connect", "opened", "ready_to_close")


class Node:
    """One place in the graph.

    Attributes:
        requires: the nodes that open before it and close after it.
        dependants: the nodes that require it.
        unopened_requirements: how many of those that it requires are not open yet.
        unclosed_dependants: how many of those that require it are not closed yet.
    """

    __slots__ = ("dependants", "requires", "unclosed_dependants", "unopened_requirements")

    def __init__(self) -> None:
        self.requires: Sequence[Any] = ()
        self.dependants: Sequence[Any] = ()
        self.unopened_requirements = 0
        self.unclosed_dependants = 0


NodeT = TypeVar("NodeT", bound=Node)


def connect(
    nodes: Mapping[Any, NodeT],
    requirements: Mapping[Any, Sequence[Any]],
    *,
    name: Callable[[NodeT], str],
) -> None:
    """Connect *nodes*, each with the nodes of those that its key requires.

    Args:
        name: returns what messages call a node.

    Raises:
        ResourceDeclarationError: the requirements form a circle.
    """
    dependants: defaultdict[NodeT, list[NodeT]] = defaultdict(list)
    for key, required in requirements.items():
        if required:
            node = nodes[key]
            node.requires = [nodes[each] for each in required]
            node.unopened_requirements = len(required)
            for each in node.requires:
                dependants[each].append(node)
    for node, those in dependants.items():
        node.dependants = those
    if dependants:
        _refuse_circles(nodes.values(), name)


def opened(node: NodeT) -> Iterator[NodeT]:
    """Take note that *node* is open, and yield the nodes that are ready to open now."""
    for dependant in node.dependants:
        dependant.unopened_requirements -= 1
        if not dependant.unopened_requirements:
            yield dependant


def all_required(node: NodeT) -> Iterator[NodeT]:
    """Yield the nodes that *node* requires, directly and then through others."""
    yield from node.requires
    found = {*node.requires}
    queue = [*node.requires]
    while queue:
        for required in queue.pop().requires:
            if required not in found:
                found.add(required)
                queue.append(required)
                yield required


def ready_to_close(begun: Sequence[NodeT]) -> list[NodeT]:
    """Return the nodes of *begun* that no other one of them requires.

    Nodes that never began are not waited for.
    """
    those = {*begun}
    for node in begun:
        if node.dependants:
            node.unclosed_dependants = sum(other in those for other in node.dependants)
    return [node for node in begun if not node.unclosed_dependants]


def closed(node: NodeT) -> Iterator[NodeT]:
    """Take note that *node* is closed, and yield the nodes that are ready to close now."""
    for required in reversed(node.requires):
        required.unclosed_dependants -= 1
        if not required.unclosed_dependants:
            yield required


def _refuse_circles(nodes: Iterable[NodeT], name: Callable[[NodeT], str]) -> None:
    try:
        graphlib.TopologicalSorter(
            {node: node.requires for node in nodes if node.requires}
        ).prepare()
    except graphlib.CycleError as error:
        # Each of the list is required by the next.
        circle = " requires ".join(shorten([name(node) for node in reversed(error.args[1])]))
        raise ResourceDeclarationError(
            f"The resources require each other in a circle: {circle}. Remove one of these "
            f"requirements, or move what both need into a resource of its own. [lifespan-circle]"
        ) from None
