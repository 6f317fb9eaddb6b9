"""The English of the project: every file keeps the rule."""

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
    [fault] = prose.faults({"a.py": text_with(1), "b.py": text_with(2)})
    head, *places = fault.splitlines()
    assert head.startswith("b.py: 2 x semicolon, not over 1: end the sentence")
    assert places == ["  b.py:3: One; two."]


def test_every_file_keeps_the_rule() -> None:
    """Generated pages are not counted."""
    if not (prose.ROOT / ".git").exists():
        pytest.skip("only a git checkout knows which files belong to the project")
    files = prose.examine_all()
    assert {"README.md", "docs/guide.md", "tests/test_prose.py"} <= files.keys()
    assert "docs/compatibility.md" not in files
    if text := "\n".join(prose.faults(files)):
        pytest.fail(text, pytrace=False)
