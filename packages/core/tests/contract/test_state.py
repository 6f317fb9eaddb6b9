"""The server's state, and what receivers and managers put into it."""

from __future__ import annotations

from typing import Any

from contract.helpers import Journal, ask, manager, messages
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_startup


async def test_the_servers_state_is_updated_in_place(journal: Journal) -> None:
    """It stays the object that it was, and the keys that the server put there stay."""
    given = {"server": "its own"}
    scope = {"type": "lifespan", "state": given}
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    register_lifespan_manager(context_manager=manager(journal, "b", b=2))
    await messages(LifespanASGIHandler(), scope)
    assert scope["state"] is given
    assert given == {"server": "its own", "a": 1, "b": 2}


async def test_without_a_state_in_the_scope_all_works_the_same(journal: Journal) -> None:
    """Managers open and close, and requests, which come without one too, see the state."""
    handler = LifespanASGIHandler()
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    answers: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def receive_after_a_request() -> Any:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                answers.append(await ask(handler))
            return message

        await handler(scope, receive_after_a_request, send)

    sent = await messages(application, {"type": "lifespan"})
    assert [message["type"].split(".")[-1] for message in sent] == ["complete", "complete"]
    assert answers == [(200, b'{"a": "1"}')]
    assert journal == ["a opens", "a closes"]


async def test_what_receivers_write_into_the_servers_state_stays(journal: Journal) -> None:
    """Through ``scope``, with new keys and with those of the server."""

    async def listen(scope: dict[str, Any], **_: Any) -> None:
        scope["state"].update(server="another", new="written")

    asgi_startup.connect(listen)
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    scope = {"type": "lifespan", "state": {"server": "its own"}}
    await messages(LifespanASGIHandler(), scope)
    assert scope["state"] == {"server": "another", "new": "written", "a": 1}
