"""The lines about request threads on the page that the benchmark writes."""

from benchmarks.measure import Requests
from benchmarks.row import Row

__all__ = ("costs", "rows")

VIEWS = {"async": "async view", "sync": "sync view", "query": "sync view with a query of SQLite"}
HANDLERS = {
    "stock": "Stock Django",
    "threads": "Request threads",
    "direct": "Request threads, without both changes",
    "wsgi": "WSGI",
}
MOST = 0.85
CLIENTS = 32
MEMORY = 2 * 2**20
OBJECTS = 100


def rows(requests: Requests) -> list[Row]:
    """Return the lines of the table of budgets."""
    return [
        *(_cost(requests, view) for view in VIEWS),
        _connections(requests),
        *_endurance(requests),
    ]


def costs(requests: Requests) -> list[tuple[str, ...]]:
    """Return the table of the costs of a request."""
    return [
        ("One request", *HANDLERS.values()),
        ("---",) * (1 + len(HANDLERS)),
        *(
            (text, *(_microseconds(requests.seconds[view, handler]) for handler in HANDLERS))
            for view, text in VIEWS.items()
        ),
    ]


def _cost(requests: Requests, view: str) -> Row:
    def text(handler: str) -> str:
        ratio = requests.ratio[view, handler]
        return f"{ratio:.2f} x stock ({_microseconds(requests.seconds[view, handler])})"

    return Row(
        f"One request with request threads, {VIEWS[view]}",
        f"{MOST:.2f} x stock",
        text("threads"),
        _microseconds(requests.seconds[view, "stock"]),
        "",
        text("direct"),
        text("control"),
        requests.ratio[view, "threads"] <= MOST,
    )


def _connections(requests: Requests) -> Row:
    opened = requests.connections
    return Row(
        "Database connections for 1,000 requests with request threads",
        "1",
        f"{opened['threads']:,}",
        f"{opened['stock']:,}",
        "",
        "",
        "",
        opened["threads"] <= 1,
    )


def _endurance(requests: Requests) -> list[Row]:
    left = requests.endurance
    subject = f"100,000 requests of {CLIENTS} clients on 16 kept threads"
    return [
        Row(figure, budget, this, "", "", "", "", kept)
        for figure, budget, this, kept in (
            (
                f"{subject}: database connections",
                f"{CLIENTS}",
                f"{left['connections']}",
                left["connections"] <= CLIENTS,
            ),
            (
                f"{subject}: memory, after 10,000 others",
                f"{MEMORY // 1024:+,} KiB, {OBJECTS:+} objects",
                f"{left['bytes'] // 1024:+,} KiB, {left['objects']:+,} objects",
                left["bytes"] <= MEMORY and left["objects"] <= OBJECTS,
            ),
        )
    ]


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"
