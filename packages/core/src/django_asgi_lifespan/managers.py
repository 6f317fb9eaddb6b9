"""The lifespan managers of django-asgi-lifespan 0.5, whose mappings are merged into the state."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from .declaration import Resource
from .errors import ResourceDeclarationError

__all__ = ("Manager", "merge")

T = TypeVar("T")


class Manager(Resource[Mapping[str, Any]]):
    """A resource without a name, whose mapping goes into the state key by key.

    Args:
        factory: the function that makes the context manager.
        receivers_before: how many receivers of ``asgi_lifespan`` were connected before it.
        is_from_receiver: whether the next such receiver returned *factory*.
    """

    def __init__(
        self,
        factory: Callable[..., Any],
        *,
        receivers_before: int,
        is_from_receiver: bool = False,
    ) -> None:
        super().__init__(factory, name="manager")
        self.merged = True
        self.name = self.origin
        self.place = receivers_before, is_from_receiver

    async def open(self) -> AsyncGenerator[Mapping[str, Any]]:
        """Return a generator that refuses to yield anything but a mapping."""
        async with contextlib.asynccontextmanager(super().open)() as value:
            if not isinstance(cast("object", value), Mapping):
                raise ResourceDeclarationError(
                    f"The lifespan manager {self.name} yielded {value!r}; it must yield a mapping "
                    f"to be merged into the state. [lifespan-mapping]"
                )
            yield value


def merge(
    resources: dict[Resource[Any], T], returned: Iterable[Callable[..., Any] | None], value: T
) -> dict[Resource[Any], T]:
    """Return *resources* and, in the order of the connections, the managers of the receivers.

    Args:
        returned: the results of the receivers of ``asgi_lifespan``.
        value: the value of these managers in the dictionary.
    """
    merged = resources | {
        Manager(factory, receivers_before=index, is_from_receiver=True): value
        for index, factory in enumerate(returned)
        if factory is not None
    }
    return dict(sorted(merged.items(), key=lambda item: _place(item[0])))


def _place(resource: Resource[Any]) -> tuple[int, bool]:
    return resource.place if isinstance(resource, Manager) else (0, False)
