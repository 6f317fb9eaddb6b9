"""The page that the benchmark writes."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.bare_tasks import SLOW
from benchmarks.measure import COUNTS, LARGEST, SLOW_COUNT, Results

__all__ = ("Row", "render", "rows")


class Row(NamedTuple):
    """One line of the table; *kept* is None where there is no budget."""

    figure: str
    budget: str
    this: str
    stock: str
    previous: str
    floor: str
    control: str
    kept: bool | None


def rows(results: Results) -> list[Row]:
    """Return the lines of the table."""
    return [
        _dispatch(results),
        _whole(results),
        _get(results),
        *_import(results),
        _register(results),
        *(_trivial(results, phase) for phase in ("start", "stop")),
        *(_growth(results, phase) for phase in ("start", "stop")),
        *(_slow(results, phase) for phase in ("start", "stop")),
    ]


def _dispatch(results: Results) -> Row:
    own = results.dispatch
    return Row(
        "One request through the handler, `request.state` read: over stock Django",
        "200 ns",
        _nanoseconds(own["this"]),
        "0 ns",
        f"{_nanoseconds(own['previous middleware'])} "
        f"({_nanoseconds(own['previous'])} without its middleware, and without `request.state`)",
        _nanoseconds(own["floor"]),
        _nanoseconds(own["control"]),
        own["this"] <= 200e-9,
    )


def _whole(results: Results) -> Row:
    own = results.whole
    texts = {side: f"{seconds * 1e6:+.0f} µs" for side, seconds in own.items()}
    return Row(
        "One trivial request through all of Django: over stock Django",
        "",
        texts["this"],
        f"0 µs of {own['stock'] * 1e6:.0f} µs",
        texts["previous"],
        "",
        texts["control"],
        None,
    )


def _get(results: Results) -> Row:
    own = results.get
    return Row(
        "`.get()` in async code",
        "150 ns",
        _nanoseconds(own["get"]),
        "",
        "",
        _nanoseconds(own["floor"]),
        _nanoseconds(own["control"]),
        own["get"] <= 150e-9,
    )


def _import(results: Results) -> list[Row]:
    seconds = {side: f"{each * 1e3:.1f} ms" for side, each in results.importing.items()}
    memory = {side: f"{each / 1024:.0f} KiB" for side, each in results.memory.items()}
    kept = (results.importing["this"] <= 2e-3, results.memory["this"] <= 200 * 1024)
    return [
        Row(
            figure,
            budget,
            each["this"],
            stock,
            each["previous"],
            each["floor"],
            each["control"],
            within,
        )
        for figure, budget, each, stock, within in (
            ("Import, Django being set up: time", "2 ms", seconds, "0 ms", kept[0]),
            ("Import, Django being set up: memory", "200 KiB", memory, "0 KiB", kept[1]),
        )
    ]


def _register(results: Results) -> Row:
    own = results.register
    return Row(
        f"Registering {LARGEST:,} trivial resources",
        "50 ms",
        _milliseconds(own["this", LARGEST]),
        "",
        _milliseconds(own["previous", LARGEST]),
        "",
        "",
        own["this", LARGEST] <= 50e-3,
    )


def _trivial(results: Results, phase: str) -> Row:
    this = results.trivial["this", LARGEST, phase]
    previous = results.trivial["previous", LARGEST, phase]
    verb = {"start": "Starting", "stop": "Stopping"}[phase]
    return Row(
        f"{verb} {LARGEST:,} trivial resources",
        "2.0 x floor",
        f"{this.ratio:.1f} x floor ({_milliseconds(this.seconds)})",
        "",
        f"{previous.ratio:.1f} x floor ({_milliseconds(previous.seconds)})",
        _milliseconds(this.floor),
        f"{this.control:.2f} x floor",
        this.ratio <= 2,
    )


def _growth(results: Results, phase: str) -> Row:
    least, *_ = COUNTS

    def growth(side: str, attribute: str = "seconds") -> float:
        small = getattr(results.trivial[side, least, phase], attribute) / least
        large = getattr(results.trivial[side, LARGEST, phase], attribute) / LARGEST
        return float(large / small)

    this = growth("this")
    return Row(
        f"The {phase} of one resource among {LARGEST:,}, over that of one among {least:,}",
        "2.0 x",
        f"{this:.1f} x",
        "",
        f"{growth('previous'):.1f} x",
        f"{growth('this', 'floor'):.1f} x",
        "",
        this <= 2,
    )


def _slow(results: Results, phase: str) -> Row:
    this, previous = results.slow["this", phase], results.slow["previous", phase]
    budget = SLOW + 3 * results.slow_trivial["this", phase].seconds
    verb = {"start": "Starting", "stop": "Stopping"}[phase]
    return Row(
        f"{verb} {SLOW_COUNT:,} independent resources that take {SLOW * 1e3:.0f} ms each",
        f"{SLOW * 1e3:.0f} ms + 3 x trivial = {_milliseconds(budget)}",
        _milliseconds(this.seconds),
        "",
        _milliseconds(previous.seconds),
        _milliseconds(this.floor),
        f"{this.control:.2f} x floor",
        this.seconds <= budget,
    )


def _nanoseconds(seconds: float) -> str:
    return f"{seconds * 1e9:.0f} ns"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.1f} ms"


def render(machine: str, versions: str, results: Results) -> str:
    """Return the page as Markdown."""
    head = ("Figure", "Budget", "This", "Stock Django", "0.5.4", "Floor", "Control", "Kept")
    table = [head, tuple("---" for _ in head)]
    for row in rows(results):
        *cells, kept = row
        table.append((*cells, {True: "yes", False: "**no**", None: ""}[kept]))
    return PAGE.format(
        machine=machine, versions=versions, table=_lines(table), steps=_lines(_steps(results))
    )


def _lines(table: Iterable[Iterable[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in table)


def _steps(results: Results) -> list[tuple[str, ...]]:
    """Return the table of what a resource adds to a bare task, step by step."""
    table: list[tuple[str, ...]] = [
        ("One resource of 10,000", "Start", "This package over it", "Stop", "This package over it"),
        ("---",) * 5,
    ]
    phases = [results.trivial["this", LARGEST, phase] for phase in ("start", "stop")]
    table.append(_step("A bare task", [(each.floor, each.ratio) for each in phases]))
    for step, name in (
        ("variable", "and it sets a context variable"),
        ("generator", "and it runs an async generator"),
    ):
        table.append(_step(name, [results.steps[step, phase] for phase in ("start", "stop")]))
    table.append(_step("This package", [(each.seconds, 1) for each in phases]))
    return table


def _step(name: str, phases: Iterable[tuple[float, float]]) -> tuple[str, ...]:
    cells = ((f"{seconds / LARGEST * 1e6:.1f} µs", f"{ratio:.1f} x") for seconds, ratio in phases)
    return (name, *itertools.chain.from_iterable(cells))


PAGE = """\
<!-- Written by `just bench`. Do not edit. -->

# Performance

What the package costs, measured beside stock Django, beside django-asgi-lifespan 0.5.4, and beside
the floor: the least code that could do the same.

{table}

Machine: {machine}. {versions}.

The machine has two noisy cores, so absolute figures vary from run to run and mean little
elsewhere. Ratios and differences hold: both of their sides were measured in one run, in turn.
The control measures the same thing twice; what it shows is noise.

## Where the time of a trivial resource goes

{steps}

The supervisor sets a context variable in each task, by which `.get()` knows inside which resource
it is called; and a resource is an async generator, which the event loop notes in a set of weak
references, to close it if nobody else does.

What remains is the resource's own part: to find it in the registry and to put it in order, to make
the object that stands for it in this lifespan, to look for time limits and log levels, to keep its
value for `.get()` and to put it into the state. About a quarter of each start, the bare task's
included, is Python's garbage collector, which looks at every new object.

Tasks begin eagerly, which Python has since 3.12 and which takes half of a bare task off the start;
the bare tasks here do not. Between resources that require one another the event loop turns all the
same, so that a cancellation or a time limit can reach the startup. A task factory that the server
or the project has set makes the tasks as ever.

## Method

Everything runs in fresh processes, and those of the compared packages alternate. Two
environments have the same Python and the same Django. Times are processor time of the process,
all its threads included, except for the resources that take 10 ms, which need the clock on the
wall. Each figure is a median.

One request
: Differences of a few nanoseconds drown in a whole request, so Django below
  `ASGIHandler.__call__` is replaced, for all handlers alike: by an object of the handler's
  request class with nothing but its scope, and a view that reads `request.state`. Stock Django
  has no `request.state`, and its view reads `request.scope`; 0.5.4 has it behind its
  middleware. A round is a batch of 1,000 requests for each handler, in an order that turns by
  one each round. The figure is the median, over 150 rounds, of a batch's difference from stock
  Django's batch in the same round, and the median of that over five processes. The floor is
  Django's handler with one `if`, and a view that reads `request.scope["state"]`.

`.get()`
: 10,000 calls in a loop in async code, the loop included. The floor is a method that returns an
  attribute.

Import
: The first import of `django_asgi_lifespan.asgi`, with bytecode, in a process in which Django
  is set up and its ASGI handler imported. Memory is what `tracemalloc` counts after it. The
  floor is a module with Django's handler and one `if`.

Resources
: A trivial resource is an async generator function that yields a mapping of one key at once.
  Registering is `@resource` here, and `register_lifespan_manager()` with `@asynccontextmanager`
  in 0.5.4. Start and stop are the time from the server's message to the answer, the log being
  at WARNING. The floor is one bare asyncio task for each resource, which notes that it has
  started and waits for a future of its own: all are started at once and told to end at once. It
  is measured before and after each start and stop in the same process; the control is the one
  over the other. The steps from the bare task to the resource are measured after that, in the
  same process too.

Slow resources
: The same, with `asyncio.sleep(0.01)` before and after the `yield`, and for the floor before
  and after the future. "Trivial" in the budget is what the same resources take without it.
"""
