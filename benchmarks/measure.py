"""Runs the measurements in fresh processes, the sides in turn."""

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from benchmarks.bare_tasks import STEPS
from benchmarks.environments import Environment
from benchmarks.shapes import SHAPES

__all__ = ("COUNTS", "LARGEST", "SLOW_COUNT", "Phases", "Requests", "Results", "measure")

COUNTS = (100, 1_000, 10_000)
LARGEST = COUNTS[-1]
SLOW_COUNT = 1_000


class Phases(NamedTuple):
    """Medians of the seconds of one phase, start or stop.

    Attributes:
        seconds: the phase itself.
        floor: bare tasks, before and after it in the same process.
        ratio: the phase over the mean of both.
        control: the bare tasks after it over those before it.
    """

    seconds: float
    floor: float
    ratio: float
    control: float


class Step(NamedTuple):
    """Medians of one phase of tasks that do a part of the work of resources.

    Attributes:
        seconds: the phase itself.
        ratio: that of the resources, in the same round, over it.
    """

    seconds: float
    ratio: float


class Shape(NamedTuple):
    """Medians of a lifespan of resources that require one another.

    Attributes:
        seconds, memory: of the larger size, start and stop together, and its peak in bytes.
        slower, larger: how much more of both a part takes in the larger size than in the smaller.
    """

    seconds: float
    memory: float
    slower: float
    larger: float


class Requests(NamedTuple):
    """The figures of whole requests with request threads, by the names of `request_costs.py`.

    Attributes:
        seconds: of one request, by view and handler.
        ratio: the same over that of stock Django.
        connections: opened by 1,000 requests, by handler.
        endurance: left behind by many requests.
    """

    seconds: dict[tuple[str, str], float]
    ratio: dict[tuple[str, str], float]
    connections: dict[str, int]
    endurance: dict[str, int]


class Results(NamedTuple):
    """All figures in seconds and bytes, by side."""

    dispatch: dict[str, float]
    whole: dict[str, float]
    get: dict[str, float]
    importing: dict[str, float]
    memory: dict[str, float]
    register: dict[tuple[str, int], float]
    trivial: dict[tuple[str, int, str], Phases]
    steps: dict[tuple[str, str], Step]
    shapes: dict[str, Shape]
    slow: dict[tuple[str, str], Phases]
    slow_trivial: dict[tuple[str, str], Phases]
    requests: Requests


Samples = defaultdict[Any, list[Any]]


def measure(environments: list[Environment], say: Callable[[str], object]) -> Results:
    """Return the figures, and call *say* with the name of each step."""
    this, previous = environments
    say("import")
    importing, memory = _import(this, previous)
    say("dispatch")
    dispatch = _median(_dispatch(environments))
    say("whole requests")
    whole = _median(_whole(environments))
    say(".get()")
    get = _median(_get(this))
    say("trivial resources")
    register, trivial, steps = _trivial(this, previous)
    say("resources that require one another")
    shapes = {name: _shape(this, name) for name in SHAPES}
    say("slow resources")
    slow, slow_trivial = _slow(this, previous)
    say("request threads")
    requests = _requests(this)
    return Results(
        dispatch=dispatch,
        whole=whole,
        get=get,
        importing=_median(importing),
        memory=_median(memory),
        register=_median(register),
        trivial=_phases(trivial),
        steps={key: _step(values) for key, values in steps.items()},
        shapes=shapes,
        slow=_phases(slow),
        slow_trivial=_phases(slow_trivial),
        requests=requests,
    )


def _work(environment: Environment, *arguments: object) -> Any:
    return json.loads(environment.run("-m", "benchmarks.worker", *map(str, arguments)))


def _import(this: Environment, previous: Environment) -> tuple[Samples, Samples]:
    module = "django_asgi_lifespan.asgi"
    turns = {
        "this": (this, module),
        "previous": (previous, module),
        "floor": (this, "benchmarks.floor_handler"),
        "control": (this, module),
    }
    for environment, name in turns.values():
        _work(environment, "import", name)  # writes the bytecode
    seconds, memory = Samples(list), Samples(list)
    for _ in range(15):
        for side, (environment, name) in turns.items():
            seconds[side].append(_work(environment, "import", name)["seconds"])
    for _ in range(3):
        for side, (environment, name) in turns.items():
            memory[side].append(_work(environment, "memory", name)["bytes"])
    return seconds, memory


def _dispatch(environments: list[Environment]) -> Samples:
    samples = Samples(list)
    for _ in range(5):
        for environment in environments:
            for name, each in _work(environment, "dispatch", environment.side).items():
                own = name if name in ("control", "floor") else _own(environment, name)
                samples[own].append(each["over stock"])
                samples[f"{own}, over the floor"].append(each["over floor"])
    return samples


def _whole(environments: list[Environment]) -> Samples:
    samples = Samples(list)
    for _ in range(3):
        for environment in environments:
            figures = _work(environment, "whole", environment.side)
            samples["stock"].append(figures["stock"]["seconds"])
            samples["control"].append(figures["control"]["over stock"])
            samples[environment.side].append(figures["handler"]["over stock"])
    return samples


def _own(environment: Environment, name: str) -> str:
    return environment.side if name == "handler" else f"{environment.side} {name}"


def _get(this: Environment) -> Samples:
    samples = Samples(list)
    for _ in range(5):
        for name, seconds in _work(this, "get", this.side).items():
            samples[name].append(seconds)
    return samples


def _trivial(this: Environment, previous: Environment) -> tuple[Samples, Samples, Samples]:
    register, phases, steps = Samples(list), Samples(list), Samples(list)
    for turn in range(4):
        for count in COUNTS:
            for environment in (this, previous):
                # Of the previous one, 10,000 take ten seconds.
                large = environment is previous and count == LARGEST
                if not large or turn == 0:
                    rounds = 1 if large else 3
                    figures = _work(environment, "resources", environment.side, count, rounds)
                    register[environment.side, count].append(figures["register"])
                    for phase in ("start", "stop"):
                        phases[environment.side, count, phase] += (
                            each[phase] for each in figures["rounds"]
                        )
                        if environment is this and count == LARGEST:
                            for step in STEPS[1:]:
                                steps[step, phase] += (
                                    (each[step][phase], each[phase][1])
                                    for each in figures["rounds"]
                                )
    return register, phases, steps


def _shape(this: Environment, name: str) -> Shape:
    shape = SHAPES[name]
    seconds, memory = Samples(list), Samples(list)
    for _ in range(5):
        for size, rounds in ((shape.small, 10), (shape.large, 2)):
            figures = _work(this, "shape", name, size, rounds)
            seconds[size].append(figures["seconds"])
            memory[size].append(figures["bytes"])
    growth = [
        statistics.median(
            large / small
            for large, small in zip(samples[shape.large], samples[shape.small], strict=True)
        )
        * shape.parts(shape.small)
        / shape.parts(shape.large)
        for samples in (seconds, memory)
    ]
    return Shape(
        statistics.median(seconds[shape.large]), statistics.median(memory[shape.large]), *growth
    )


def _slow(this: Environment, previous: Environment) -> tuple[Samples, Samples]:
    slow, trivial = Samples(list), Samples(list)
    for turn in range(4):
        for environment in (this, previous):
            # The previous one takes ten seconds to stop.
            if environment is this or turn == 0:
                rounds = 4 if environment is this else 1
                figures = _work(environment, "slow", environment.side, SLOW_COUNT, rounds)
                for phase in ("start", "stop"):
                    slow[environment.side, phase] += (each[phase] for each in figures["slow"])
                    trivial[environment.side, phase] += (each[phase] for each in figures["trivial"])
    return slow, trivial


def _requests(this: Environment) -> Requests:
    def take(measurement: str) -> Any:
        return json.loads(this.run("-m", "benchmarks.request_costs", measurement))

    seconds, ratio = Samples(list), Samples(list)
    for _ in range(3):
        for view, handlers in take("costs").items():
            for handler, cost in handlers.items():
                seconds[view, handler].append(cost["seconds"])
                ratio[view, handler].append(cost["ratio"])
    return Requests(_median(seconds), _median(ratio), take("connections"), take("endurance"))


def _median(samples: Samples) -> dict[Any, float]:
    return {key: statistics.median(values) for key, values in samples.items()}


def _phases(samples: Samples) -> dict[Any, Phases]:
    return {key: _phase(values) for key, values in samples.items()}


def _step(rounds: Iterable[tuple[float, float]]) -> Step:
    rounds = list(rounds)
    return Step(
        seconds=statistics.median(seconds for seconds, _ in rounds),
        ratio=statistics.median(resources / seconds for seconds, resources in rounds),
    )


def _phase(rounds: Iterable[tuple[float, float, float]]) -> Phases:
    rounds = list(rounds)
    return Phases(
        seconds=statistics.median(seconds for _, seconds, _ in rounds),
        floor=statistics.median((before + after) / 2 for before, _, after in rounds),
        ratio=statistics.median(
            2 * seconds / (before + after) for before, seconds, after in rounds
        ),
        control=statistics.median(after / before for before, _, after in rounds),
    )
