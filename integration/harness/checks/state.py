"""The state, as requests and WebSockets see it."""

from __future__ import annotations

from integration.harness.client import Answer
from integration.harness.observation import Observation

from .common import NAMES, check, fields, verdict


def _has_state(answer: Answer) -> bool:
    return fields(answer).get("state") == NAMES


@check
def state_in_http(seen: Observation) -> str:
    """A request has the state."""
    return verdict(_has_state(seen.client.first))


@check
def state_on_keep_alive(seen: Observation) -> str:
    """A later request on the same connection has it too."""
    return verdict(_has_state(seen.client.second))


@check
def state_is_isolated(seen: Observation) -> str:
    """A key that one request adds is not there in the next."""
    changed = "changed" in fields(seen.client.changed).get("state", [])
    return verdict(changed and _has_state(seen.client.second))


@check
def state_is_shallow(seen: Observation) -> str:
    """An object in the state is the same in every request of the worker."""
    return verdict(fields(seen.client.second).get("shared") == ["item"])


@check
def state_in_websocket(seen: Observation) -> str:
    """A WebSocket has it."""
    return verdict(seen.client.websocket_state == NAMES)


@check
def get_in_async_view(seen: Observation) -> str:
    """An async view gets the resource's value."""
    return verdict(fields(seen.client.first).get("get") == "value")


@check
def get_in_sync_view(seen: Observation) -> str:
    """A sync view does."""
    return verdict(fields(seen.client.sync).get("get") == "value")
