"""The observation of one launch: the client's view, the journal, and the end of the process."""

from __future__ import annotations

from dataclasses import dataclass, field

from .client import Answer
from .journal import Journal

NOT_SENT = Answer(None, "not sent")


@dataclass(slots=True, kw_only=True)
class ClientView:
    """The client's view. A field keeps its default where a scenario did not get that far.

    Attributes:
        first, second: answers on one connection, one after the other.
        changed: the answer to a request that changes its state, between these two.
        sync: the answer of a sync view.
        held: the answer to the request that was in flight.
        websocket_state: the names in the state of the WebSocket's scope.
        close_code: the code with which the WebSocket was closed.
        glimpses: by phase, the fate of a new client of each probe: see ``client.fate()``.
        statuses: those of the answers to many requests, with None for a missing answer.
        startups: how many startups had begun when the server served.
        replaced: a new worker came.
        ended: the server ended by itself.
    """

    first: Answer = NOT_SENT
    second: Answer = NOT_SENT
    changed: Answer = NOT_SENT
    sync: Answer = NOT_SENT
    held: Answer = NOT_SENT
    websocket_state: list[str] | None = None
    close_code: int | None = None
    glimpses: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    statuses: list[int | None] = field(default_factory=list[int | None])
    startups: int = 0
    replaced: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The facts about one launch, from which every check finds its answer.

    Attributes:
        processes: how many workers the target has.
        code: the exit code, or None if the server had to be killed.
        problem: why the scenario could not be played to its end.
    """

    processes: int
    journal: Journal
    client: ClientView
    code: int | None
    hung: bool
    orphans: int
    output: str
    problem: str
    report: str
