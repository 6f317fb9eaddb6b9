"""The harness's own rules: for questions, for comparing answers, and for the committed files."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path

import pytest

from integration.harness import book, drawing, os_signals, pages, server_page, summary
from integration.harness.checks import CHECKS
from integration.harness.checks.closing import closes, closes_connections
from integration.harness.checks.in_flight import finishes_request
from integration.harness.checks.startup import startup_first
from integration.harness.client import Answer
from integration.harness.journal import Journal
from integration.harness.notes import Note, Notes, read_notes
from integration.harness.observation import ClientView, Observation
from integration.harness.probes import Probe, read_probes
from integration.harness.results import (
    Result,
    folders,
    lacks,
    outdated,
    read_results,
    write_result,
)
from integration.harness.scenarios import SCENARIOS, SUITES
from integration.harness.targets import Target, read_targets


def observe(*events: str, pid: int = 1, **view: object) -> Observation:
    """Return an observation with these events, ``"base open"``, of one worker."""
    lines = [
        json.dumps(
            {
                "pid": pid,
                "event": event.rpartition(" ")[2],
                "subject": event.rpartition(" ")[0],
                "loop": 1,
                "task": 1,
                "thread": 1,
                "time": float(index),
            }
        )
        for index, event in enumerate(events)
    ]
    values: dict[str, object] = {
        "processes": 1,
        "journal": Journal.parse("".join(f"{line}\n" for line in lines).encode()),
        "client": ClientView(),
        "code": 0,
        "hung": False,
        "orphans": 0,
        "output": "",
        "problem": "",
        "report": "",
    }
    return Observation(**(values | view))  # type: ignore[arg-type]


OPEN = (
    "base opening",
    "base open",
    "dependent opening",
    "dependent open",
    "asgi_startup sent",
)
CLOSED = (
    "dependent closing",
    "dependent closed",
    "base closing",
    "base closed",
)


# The questions


def test_every_probe_asks_what_there_is() -> None:
    """Each names a scenario and a check, and has an id of its own."""
    probes = read_probes()
    assert {probe.scenario for probe in probes} == set(SCENARIOS)
    assert {probe.check for probe in probes} == set(CHECKS)
    assert len({probe.id for probe in probes}) == len(probes)


def test_every_target_plays_scenarios_that_there_are() -> None:
    """Each target has a known suite, and suites name known scenarios."""
    assert {target.suite for target in read_targets().values()} <= set(SUITES)
    assert all(scenarios <= set(SCENARIOS) for scenarios in SUITES.values())


WAYS = """
[a]
title = "a"
server = "uvicorn"
packages = ["uvicorn"]
command = "{program} {options} {listen} {application}"
words = { program = "a", options = "--one", listen = "--port {port}" }
environment = { ONE = "1" }
reload = true
summary = true
smoke = ["command"]
max_requests = "--max 3"
timeout = ""
setups = ["command"]
differs.command = { words.program = "python -m a", environment.TWO = "2" }

[b]
base = "a"
title = "b"
words.options = "--two"
reload = false
timeout = false
setups = ["handler", "command"]
"""


def test_a_target_states_the_differences_from_its_base(tmp_path: Path) -> None:
    """A setup states its own on top of them. Summary and smoke are not handed down."""
    path = tmp_path / "targets.toml"
    path.write_text(WAYS)
    targets = read_targets(path, None)
    assert {name: " ".join(target.command) for name, target in targets.items()} == {
        "a.command": "python -m a --one --port {port} {application}",
        "b.handler": "a --two --port {port} {application}",
        "b.command": "python -m a --two --port {port} {application}",
    }
    a, handler, command = targets.values()
    assert (a.summary, a.smoke, command.summary, command.smoke) == (True, True, False, False)
    assert (handler.environment, command.environment) == ({"ONE": "1"}, {"ONE": "1", "TWO": "2"})
    assert a.capabilities - command.capabilities == {"reload", "timeout"}
    assert command.options == {"max_requests": ("--max", "3")}
    assert command.shown == "python -m a --two asgi:application"


AROUND = """
[broker]
title = "a broker"
targets = ["b.command"]
application = "around:application"
packages = ["broker"]
command = "run-broker {arguments}"
environment = { THREE = "3" }
smoke = ["b.command"]
"""


def test_surroundings_are_put_around_a_target(tmp_path: Path) -> None:
    """The target keeps the fields that its surroundings do not name."""
    path, around = tmp_path / "targets.toml", tmp_path / "surroundings.toml"
    path.write_text(WAYS)
    around.write_text(AROUND)
    inner, target = list(read_targets(path, around).values())[-2:]
    assert (target.id, target.surroundings, target.suite) == (
        "b-broker.command",
        "a broker",
        "surroundings",
    )
    assert " ".join(target.command) == "run-broker -m a --two --port {port} {application}"
    assert target.shown == "run-broker -m a --two around:application"
    assert set(target.requirements) == {*inner.requirements, "broker"}
    assert target.environment == {"ONE": "1", "TWO": "2", "THREE": "3"}
    assert (target.inner, target.smoke, inner.smoke) == (inner.id, True, False)


def test_every_row_of_the_contract_is_asked_about() -> None:
    """The page has a heading for each row, and each row has a question."""
    assert {probe.row for probe in read_probes()} == set(book.ROWS)


# How an answer is found


def test_what_was_opened_and_closed_in_order_closes() -> None:
    """The whole story of one worker."""
    assert closes(observe(*OPEN, *CLOSED)) == "pass"


@pytest.mark.parametrize(
    "seen",
    [
        observe(),
        observe(*OPEN),
        observe(*OPEN, *CLOSED[:2]),
        observe(*OPEN, *CLOSED[2:]),
        observe(*OPEN, *CLOSED[2:], *CLOSED[:2]),
        observe(*OPEN, CLOSED[0], *CLOSED[2:]),
        observe(*OPEN, *CLOSED, hung=True),
        observe(*OPEN, *CLOSED, orphans=1),
    ],
    ids=["never", "open", "half", "other half", "order", "not ended", "hung", "orphans"],
)
def test_anything_less_does_not_close(seen: Observation) -> None:
    """No lifespan, something left open, the wrong order, a server that does not end."""
    assert closes(seen) == "fail"


def test_one_worker_of_two_closes_in_part() -> None:
    """The other was cut off."""
    both = [*observe(*OPEN, *CLOSED).journal, *observe(*OPEN, pid=2).journal]
    assert closes(observe(journal=Journal(both))) == "partial"


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        (["connection open", *CLOSED, "connection closed"], "pass"),
        (["connection open", *CLOSED], "fail"),
        (["connection open", "connection closed", *CLOSED], "fail"),
        (CLOSED, "fail"),
    ],
    ids=["kept", "left open", "not kept", "none"],
)
def test_connections_are_closed_after_the_resources(events: list[str], outcome: str) -> None:
    """A connection that was closed earlier was not kept."""
    client = ClientView(statuses=[200])
    command = "connection open"  # that of the command itself
    assert closes_connections(observe(command, *OPEN, *events, client=client)) == outcome


def test_a_request_before_the_startup_is_complete_is_seen() -> None:
    """The order in the journal of one worker decides."""
    request = "request begun"
    assert startup_first(observe(*OPEN, request)) == "pass"
    assert startup_first(observe(*OPEN[:4], request, OPEN[4])) == "fail"
    assert startup_first(observe(*OPEN)) == "fail"
    assert startup_first(observe(request)) == "fail"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200, {"get": "value"}), "pass"),
        (Answer(200, {"get": "base is not available"}), "fail"),
        (Answer(500, "Server Error"), "fail"),
        (Answer(None, "ConnectionResetError()"), "fail"),
    ],
)
def test_a_request_in_flight_has_its_resources_to_its_end(answer: Answer, outcome: str) -> None:
    """An answer alone is not enough."""
    assert finishes_request(observe(*OPEN, *CLOSED, client=ClientView(held=answer))) == outcome


def test_what_did_not_get_as_far_as_the_question_is_never_a_pass() -> None:
    """It is blocked, or failed where no lifespan was begun."""
    probe = Probe(id="id", scenario="int", check="closes", question="?", row="stop")
    assert probe.answer(observe(*OPEN, *CLOSED, problem="no answer")) == "blocked"
    never = Probe(id="id", scenario="int", check="closes_or_never_starts", question="?", row="stop")
    assert never.answer(observe(problem="no answer")) == "fail"


# How results are compared and kept


def result(**outcomes: set[str]) -> Result:
    """Return a result with these outcomes of a scenario ``int``."""
    return Result(
        title="title",
        setup="handler",
        python="3.13",
        versions={"django": "6.1"},
        outcomes=outcomes,
        endings={"int": {"0"}},
        events={"int": {"base open"}},
    )


PROBE = Probe(id="probe", scenario="int", check="closes", question="?", row="stop")


def test_an_outcome_outside_the_committed_ones_deviates() -> None:
    """An outcome that is among the varying ones does not."""
    committed = result(probe={"pass", "partial"})
    assert not result(probe={"pass"}).deviates(committed, "int", [PROBE])
    assert result(probe={"fail"}).deviates(committed, "int", [PROBE])
    assert not result(probe={"fail"}).deviates(committed, "quit", [PROBE])
    assert not result(probe={"fail"}).deviates(result(), "int", [PROBE])


@pytest.mark.parametrize("what", ["endings", "events"])
def test_another_ending_or_course_of_events_differs(what: str) -> None:
    """Even where the answers are the same."""
    mine = result(probe={"pass"})
    assert not mine.differs(result(probe={"pass"}), "int")
    getattr(mine, what)["int"] = {"other"}
    assert mine.differs(result(probe={"pass"}), "int")


def test_what_varies_stays_varying_when_one_run_shows_only_a_part() -> None:
    """Else the results would change with every run."""
    mine = result(probe={"pass"})
    mine.widen(result(probe={"pass", "partial"}))
    assert mine.outcome("probe") == "varies"
    more = result(probe={"pass", "fail"})
    more.widen(result(probe={"pass", "partial"}))
    assert more.outcomes == {"probe": {"pass", "partial", "fail"}}
    changed = result(probe={"fail"})
    changed.widen(result(probe={"pass", "partial"}))
    assert changed.outcome("probe") == "fail"


def test_the_answers_to_other_probes_are_kept() -> None:
    """Unless they say only that nothing was played, or the packages are others."""
    mine = result(probe={"pass"})
    mine.endings, mine.events = {"quit": {"1"}}, {"quit": set()}
    other = Probe(id="other", scenario="quit", check="closes", question="?")
    third = Probe(id="third", scenario="hup", check="closes", question="?")
    committed = result(probe={"fail"}, other={"yes"}, third={"untested"}, fourth={"pass"})
    mine.keep(committed, [PROBE, other, third])
    assert mine.outcomes == {"probe": {"pass"}, "other": {"yes"}}
    assert mine.endings == {"int": {"0"}, "quit": {"1"}}
    assert not mine.is_of_other_packages(committed)
    committed.versions = {"django": "5.2"}
    assert mine.is_of_other_packages(committed)


def test_a_result_reads_as_it_was_written(tmp_path: Path) -> None:
    """With its note, and nothing of the clock or the machine."""
    notes = Notes([Note(("uvicorn*",), ("pro*",), "Because.", "somewhere")])
    written = result(probe={"pass", "partial"}, other={"fail"})
    write_result("uvicorn.handler", written, notes, tmp_path)
    assert read_results(tmp_path) == {"uvicorn.handler": written}
    text = (tmp_path / "uvicorn.handler.toml").read_text()
    assert 'note = "Because."' in text
    write_result("uvicorn.handler", written, notes, tmp_path)
    assert (tmp_path / "uvicorn.handler.toml").read_text() == text


def test_what_is_missing_is_said() -> None:
    """A result, an answer, a note, or a target for a result."""
    target = Target(
        id="a.handler", title="a", setup="handler", command=(), requirements=(), suite="all"
    )
    notes = Notes([])
    assert lacks([target], [PROBE], {}, notes) == ["a.handler: no result"]
    assert lacks([target], [PROBE], {"a.handler": result()}, notes) == [
        "a.handler: no answer to probe"
    ]
    assert lacks([target], [PROBE], {"a.handler": result(probe={"fail"})}, notes) == [
        "a.handler: probe is fail, without a note"
    ]
    assert lacks([target], [PROBE], {"a.handler": result(probe={"pass"}, b={"pass"})}, notes) == [
        "a.handler: no such probe: b"
    ]
    assert lacks([], [], {"a.handler": result()}, notes) == ["a.handler: no such target"]


# The committed files


def test_the_results_are_complete() -> None:
    """Every target has an answer to every probe, and every outcome that needs a note has one."""
    targets = [target for target in read_targets().values() if not target.control]
    assert lacks(targets, read_probes(), read_results(), read_notes()) == []


def test_every_note_is_about_something() -> None:
    """A note whose outcome is gone goes too."""
    notes = read_notes()
    used = {
        note
        for folder in folders()
        for target, result in read_results(folder).items()
        for probe in result.outcomes
        if result.outcome(probe) in {"fail", "partial", "varies"}
        for note in notes.find(target, probe)
    }
    assert [note.text for note in notes.all if note not in used] == []


def test_the_results_have_the_notes_of_today() -> None:
    """A changed note reaches them by ``just matrix-render``."""
    assert outdated(read_notes()) == []


def test_the_pages_are_what_is_rendered() -> None:
    """A hand edit is caught, and rendering twice gives the same bytes."""
    assert pages.differs() == []


def test_a_verdict_that_is_not_full_leads_to_the_questions_that_are_missing() -> None:
    """On the page of the server, below a heading that names the way to run it and the setup."""
    everything = book.Book()
    target = next(each for each in everything.targets if each.id == "uvicorn-workers.handler")
    missed = summary.failing(everything, target)
    asked = summary.required(everything, target)
    page = server_page.server_page(everything, "uvicorn")
    _, _, part = page.partition("### uvicorn --workers 2: our handler\n")
    assert summary.linked(everything, target, "pages/") == (
        f"[{len(asked) - len(missed)} of {len(asked)}]"
        "(pages/uvicorn.md#uvicorn---workers-2-our-handler)"
    )
    assert missed
    assert all(probe.question in part.partition("###")[0] for probe in missed)


def test_the_data_has_every_answer_of_every_target() -> None:
    """For programs, with the questions and the notes."""
    data = json.loads((pages.DOCS / "compatibility" / "compatibility.json").read_text())
    everything = book.Book()
    assert data["targets"].keys() == everything.results.keys()
    for name, target in data["targets"].items():
        outcomes = {probe: everything.results[name].outcome(probe) for probe in data["questions"]}
        assert target["outcomes"] == outcomes


def test_the_drawing_of_a_launch_shows_resources_that_are_left_open() -> None:
    """One column for each resource and for the request, and a line for each event."""
    events = "2 x base opening, base open, pool open, asgi_startup sent, held request begun"
    events += ", held request ended, pool closed; base open"
    result = Result(
        title="", setup="", python="", versions={}, endings={drawing.SCENARIO: {"0"}},
        events={drawing.SCENARIO: {events}},
    )  # fmt: skip
    assert drawing.drawing(result).splitlines() == [
        "┬      base open",
        "│ ┬    pool open",
        "│ │    asgi_startup sent",
        "│ │ ┬  request begun",
        "│ │ │  SIGTERM",
        "│ │ ┴  request ended",
        "│ ┴    pool closed",
        "│      base left open",
        "(other workers, or other launches, were different)",
        "exit code 0",
    ]
    result.events[drawing.SCENARIO] = {"atexit run"}
    assert drawing.drawing(result).splitlines() == ["nothing is opened", "exit code 0"]
    assert not drawing.drawing(Result(title="", setup="", python="", versions={}))


def test_the_page_why_says_what_each_os_signal_does() -> None:
    """Without the adapter and with it, in words, with the exit code."""
    everything = book.Book()
    sections = {
        title: text
        for part in os_signals.os_signals(everything).split("### ")[1:]
        for title, _, text in [part.partition("\n")]
    }
    assert len(sections) == 6
    assert "| SIGQUIT | left open, -3 | closed, 0 |" in sections["uvicorn"]
    assert "| SIGHUP | new worker, 0 | new worker, 0 |" in sections["hypercorn"]
    assert "| SIGTERM | never opened, 0 | closed, 0 |" in sections["daphne"]
    for text in sections.values():
        assert len(re.findall(r"^\| (?:SIG|Ctrl)", text, re.MULTILINE)) == len(os_signals.SIGNALS)
        assert "request begun" in text


STARTUP = {
    "refused": ["uvicorn*", "hypercorn*", "granian*", "daphne.command"],
    "waits": ["gunicorn*", "daphne.installed"],
}
DELAYS = [
    "uvicorn*.[ic]*",
    "gunicorn*.command",
    "gunicorn-uvicorn*.installed",
    "daphne.[ic]*",
    "granian*.[ic]*",
    "hypercorn*.command",
]


def test_the_page_about_operations_says_what_the_servers_do() -> None:
    """Its tables of connections during the startup, and of servers that delay a stop."""

    def told(probe: str, outcome: str) -> set[str]:
        return {name for name, it in read_results().items() if it.outcomes[probe] == {outcome}}

    def named(patterns: list[str], among: set[str]) -> set[str]:
        return {name for name in among for each in patterns if fnmatch.fnmatch(name, each)}

    asked = {outcome: told("client-startup", outcome) for outcome in STARTUP}
    everywhere = asked["refused"] | asked["waits"]
    assert asked == {outcome: named(names, everywhere) for outcome, names in STARTUP.items()}
    delayed = told("drain-delay", "yes")
    assert delayed == named(DELAYS, delayed | told("drain-delay", "no"))
