"""Requests and WebSockets that are open when the server stops."""

from __future__ import annotations

from integration.harness.observation import Observation

from .common import FAIL, check, fields, started, stories, verdict

ENDED = ("held request ended", "stream ended")


@check
def finishes_request(seen: Observation) -> str:
    """The request in flight is answered, with its resources, and then they are closed."""
    if not started(seen):
        return FAIL
    answer = seen.client.held
    useful = fields(answer).get("get") == "value" or answer.content == "value\n"
    in_order = all(
        story.index("held request ended") < story.index("base closing")
        for story in stories(seen)
        if {"held request ended", "base closing"} <= set(story)
    )
    return verdict(answer.status == 200 and useful and in_order)


@check
def websocket_told(seen: Observation) -> str:
    """An open WebSocket is closed with 1012, "service restart"."""
    return verdict(started(seen) and seen.client.close_code == 1012)


@check
def notice_first(seen: Observation) -> str:
    """The stopping notice comes while the request is still in flight."""
    for story in stories(seen):
        ended = [story.index(event) for event in ENDED if event in story]
        if ended:
            return verdict("asgi_stopping sent" in story[: min(ended)])
    return FAIL
