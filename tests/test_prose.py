"""The English of the project: no file gets worse, and a new file keeps the rule."""

from pathlib import Path

import pytest

from tools import prose
from tools.prose import Found, Prose, examine

MODULE = '''\
"""Does what it says; whoever calls it waits."""

import sys  # for what follows

MESSAGE = "what; a string"
"""It says what happened."""


def run(what=";"):
    """What happens here? Nothing; `what;` is code.

    See [the page](https://example.org/what;no) &amp; ``whatever;``.
    """
    # Is it known
    # what this does?
    "whatever".split(";")
    print(
        "wherever;",
        """whoever;""",
    )
    return sys.path; what  # last
'''

PAGE = """\
# What a page is

<!-- part: begin (written by `just x`) -->
whatever; is written
<!-- part: end -->
<!-- what; -->

A line that tells
whichever comes; then.

```python
what = 1; whatever = 2
```

| what? | Whoever reads | `what;` |
|---|---|---|

- a list; with two
  lines
  ```
  what;
  ```
- Wherever it goes.
"""


def summary(text: Prose) -> list[tuple[str, int, str]]:
    """The findings, in the order of the file."""
    return sorted(
        ((found.kind, found.line, found.sentence) for found in text.found), key=lambda it: it[1]
    )


def test_docstrings_and_comments_are_the_prose_of_a_module() -> None:
    """Code, inline code, links, entities and questions do not count, and each line is right."""
    assert summary(examine("module.py", MODULE)) == [
        ("free relative", 1, "Does what it says; whoever calls it waits."),
        ("free relative", 1, "Does what it says; whoever calls it waits."),
        ("semicolon", 1, "Does what it says; whoever calls it waits."),
        ("free relative", 3, "for what follows"),
        ("free relative", 6, "It says what happened."),
        ("semicolon", 10, "Nothing; `what;` is code."),
    ]


def test_pages_are_counted_without_their_code() -> None:
    """Blocks, inline code, generated regions and HTML comments do not count."""
    assert summary(examine("page.md", PAGE)) == [
        ("free relative", 1, "# What a page is"),
        ("free relative", 9, "A line that tells whichever comes; then."),
        ("semicolon", 9, "A line that tells whichever comes; then."),
        ("free relative", 15, "Whoever reads"),
        ("semicolon", 18, "a list; with two lines"),
        ("free relative", 23, "Wherever it goes."),
    ]


def test_words_are_those_of_the_prose() -> None:
    """The length of a file is that of its prose, whatever code it has."""
    assert examine("page.md", "Two `words of code` words.\n\n```\ncode\n```\n").words == 2
    assert examine("module.py", "'''Two words.'''\nthree_words_of = code\n").words == 2


@pytest.mark.parametrize(("words", "limit"), [(0, 1), (999, 1), (1000, 2), (1499, 2), (1500, 3)])
def test_a_short_file_may_have_one(words: int, limit: int) -> None:
    """Two in 1,000 words are allowed, and one in a file that is shorter."""
    assert Prose(words, ()).limit == limit


def text_with(semicolons: int) -> Prose:
    """A short file with so many semicolons."""
    return Prose(10, (Found("semicolon", 3, "One; two."),) * semicolons)


def test_a_file_that_is_too_much_is_explained() -> None:
    """The explanation has the place, the sentence and the remedy."""
    [fault] = prose.faults({}, {"a.py": text_with(1), "b.py": text_with(2)})
    head, *places = fault.splitlines()
    assert head.startswith("b.py: 2 x semicolon, allowed are 1: end the sentence")
    assert places == ["  b.py:3: One; two."]


def test_a_listed_file_may_keep_its_figure_but_not_raise_it() -> None:
    """The other kind of the same file stays under the rule."""
    figures = {"a.py": {"free relative": 7, "semicolon": 4}}
    assert not list(prose.faults(figures, {"a.py": text_with(4)}))
    assert list(prose.faults(figures, {"a.py": text_with(5)}))
    assert list(
        prose.faults({"a.py": {"free relative": 7, "semicolon": 0}}, {"a.py": text_with(4)})
    )


@pytest.mark.parametrize(("today", "figure"), [(9, 4), (4, 4), (3, 3), (1, None), (0, None)])
def test_figures_are_lowered_and_never_raised(today: int, figure: int | None) -> None:
    """A file that keeps the rule loses its line, and so does one that is gone."""
    known = {"free relative": 0, "semicolon": 4}
    lower = prose.lowered({"a.py": known, "gone.py": known}, {"a.py": text_with(today)})
    assert lower == ({} if figure is None else {"a.py": {"free relative": 0, "semicolon": figure}})


def test_the_lines_of_two_branches_are_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two lines for one file, which a merge may leave, the lower figures hold."""
    monkeypatch.setattr(prose, "FIGURES", tmp_path / "prose.txt")
    prose.FIGURES.write_text("# Head.\n  3   9 b.py\n  4   8 b.py\n 10   0 a b.py\n")
    prose.write_figures(prose.read_figures())
    assert prose.FIGURES.read_text() == "# Head.\n 10   0 a b.py\n  3   8 b.py\n"


@pytest.fixture(scope="module")
def files() -> dict[str, Prose]:
    """Every file of the project."""
    if not (prose.ROOT / ".git").exists():
        pytest.skip("only a git checkout knows which files belong to the project")
    return prose.examine_all()


def test_no_file_gets_worse(files: dict[str, Prose]) -> None:
    """A listed file has at most its figures, and every other file keeps the rule."""
    assert {"README.md", "docs/guide.md", "tests/test_prose.py"} <= files.keys()
    assert "docs/compatibility.md" not in files
    if text := "\n".join(prose.faults(prose.read_figures(), files)):
        pytest.fail(text, pytrace=False)


def test_no_figure_is_kept_without_need(files: dict[str, Prose]) -> None:
    """A file that keeps the rule, or is gone, is not listed."""
    figures = prose.read_figures()
    if needless := sorted(figures.keys() - prose.lowered(figures, files).keys()):
        pytest.fail(
            "These keep the rule now, or are gone (renamed? then change the path in its line):\n  "
            + "\n  ".join(needless)
            + "\nRun `uv run just prose`, which takes them out of tests/prose.txt.",
            pytrace=False,
        )
