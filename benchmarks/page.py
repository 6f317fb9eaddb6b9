"""The page that the benchmark writes."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from benchmarks import request_page
from benchmarks.bare_tasks import SLOW
from benchmarks.measure import COUNTS, LARGEST, SLOW_COUNT, Results
from benchmarks.row import Row
from benchmarks.shapes import SHAPES

__all__ = ("render", "rows")

PAGE = Path(__file__).with_name("page.md")


def rows(results: Results) -> list[Row]:
    """Return the lines of the table."""
    return [
        *_dispatch(results),
        _whole(results),
        *(_get(results, code) for code in ("async", "sync")),
        *_import(results),
        _register(results),
        *(_trivial(results, phase) for phase in ("start", "stop")),
        *(_growth(results, phase) for phase in ("start", "stop")),
        *(_shape(results, name) for name in SHAPES),
        *(_slow(results, phase) for phase in ("start", "stop")),
        *request_page.rows(results.requests),
    ]


def _dispatch(results: Results) -> list[Row]:
    own = results.dispatch
    over_floor = own["this, over the floor"]
    return [
        Row(
            "One request through the handler, `request.state` read: over stock Django",
            "",
            _nanoseconds(own["this"]),
            "0 ns",
            f"{_nanoseconds(own['previous middleware'])} ({_nanoseconds(own['previous'])} "
            f"without its middleware, and without `request.state`)",
            _nanoseconds(own["floor"]),
            _nanoseconds(own["control"]),
            None,
        ),
        Row(
            "The same request: over the floor",
            "100 ns",
            _nanoseconds(over_floor),
            "",
            _nanoseconds(own["previous middleware, over the floor"]),
            "0 ns",
            "",
            over_floor <= 100e-9,
        ),
    ]


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


def _get(results: Results, code: str) -> Row:
    own = results.get
    ratio = own[f"{code} ratio"]
    return Row(
        f"`.get()` in {'a sync view' if code == 'sync' else 'async code'}",
        "6.0 x floor",
        f"{ratio:.1f} x floor ({_nanoseconds(own[f'{code} get'])})",
        "",
        "",
        _nanoseconds(own[f"{code} floor"]),
        _nanoseconds(own[f"{code} control"]),
        ratio <= 6,
    )


def _import(results: Results) -> list[Row]:
    seconds = {side: f"{each * 1e3:.1f} ms" for side, each in results.importing.items()}
    memory = {side: f"{each / 1024:.0f} KiB" for side, each in results.memory.items()}
    limit = 0.8 * results.importing["previous"]
    kept = (results.importing["this"] <= limit, results.memory["this"] <= 200 * 1024)
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
            (
                "Import, Django being set up: time",
                f"0.8 x 0.5.4 = {limit * 1e3:.1f} ms",
                seconds,
                "0 ms",
                kept[0],
            ),
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


def _shape(results: Results, name: str) -> Row:
    shape, own = SHAPES[name], results.shapes[name]
    return Row(
        f"{shape.large:,} resources {shape.text}: each part, over one of {shape.small:,}",
        "2.0 x time, 2.0 x memory",
        f"{own.slower:.1f} x time ({_milliseconds(own.seconds)}), "
        f"{own.larger:.1f} x memory ({own.memory / 2**20:.0f} MiB)",
        "",
        "",
        "",
        "",
        max(own.slower, own.larger) <= 2,
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
    return PAGE.read_text().format(
        machine=machine,
        versions=versions,
        table=_lines(table),
        steps=_lines(_steps(results)),
        requests=_lines(request_page.costs(results.requests)),
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
