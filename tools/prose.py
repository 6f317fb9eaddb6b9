"""Counts free relatives and semicolons in the project's prose.

Prose is the text of Markdown pages, and the docstrings and comments of Python files. Code blocks,
inline code, link targets and generated text do not count. A free relative is each word of
`FREE_RELATIVES`, except in a sentence that ends with a question mark. Per file and kind 2 are
allowed in 1,000 words, and one is allowed in every file.
"""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PER_THOUSAND_WORDS: Final = 2
FREE_RELATIVES: Final = ("what", "whatever", "whichever", "whoever", "whomever", "wherever")

_KINDS: Final = {
    "free relative": re.compile(rf"\b({'|'.join(FREE_RELATIVES)})\b", re.IGNORECASE),
    "semicolon": re.compile(";"),
}
_ADVICE: Final = {
    "free relative": "name the noun ('what a resource requires' -> 'the dependencies of ...')",
    "semicolon": "end the sentence, or join with 'and', 'but', 'because'",
}
_WORD: Final = re.compile(r"[A-Za-z][\w'-]*")
# Outside a paragraph: blank lines, cells of a table, items of a list, headings.
_SENTENCE_END: Final = re.compile(r"\n\s*(?:[-*#]+|\d+\.)\s|\n\s*\n|\||(?<=[.!?])[\"')*_]*\s")
_NO_PROSE: Final = re.compile(
    r"(?P<ticks>`+)(?:(?!\n\s*\n).)+?(?P=ticks)"  # inline code
    r"|https?://\S+"
    r"|(?<=\])\([^)\s]*\)"  # the target of a link
    r"|&\w+;",  # an HTML entity, which is no semicolon
    re.DOTALL,
)
_NO_MARKDOWN: Final = re.compile(
    r"^[ ]*(?P<fence>```+).*?^[ ]*(?P=fence)$"
    r"|<!-- (?P<region>\S+): begin.*?<!-- (?P=region): end -->"  # generated
    r"|<!--.*?-->",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """One free relative or semicolon, with its line and its sentence."""

    kind: str
    line: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Prose:
    """The words and the findings of one file."""

    words: int
    found: tuple[Found, ...]

    @property
    def limit(self) -> int:
        """How many of a kind a file of this length may have."""
        return max(1, self.words * PER_THOUSAND_WORDS // 1000)

    def count(self, kind: str) -> int:
        return sum(found.kind == kind for found in self.found)


def examine(name: str, text: str) -> Prose:
    """The prose of a file, which is Python or Markdown by its name."""
    prose = _python(text) if name.endswith(".py") else _blank(text, _NO_MARKDOWN)
    prose = _blank(prose, _NO_PROSE)
    found = [
        Found(kind, prose.count("\n", 0, match.start()) + 1, " ".join(text[begin:end].split()))
        for begin, end in _sentences(prose)
        for kind, pattern in _KINDS.items()
        for match in pattern.finditer(prose, begin, end)
        if kind == "semicolon" or not prose[begin:end].rstrip("\"')*_").endswith("?")
    ]
    return Prose(len(_WORD.findall(prose)), tuple(found))


def examine_all() -> dict[str, Prose]:
    """The prose of every file that is or could be committed, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.py", "*.md"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split("\0")
    texts = {name: (ROOT / name).read_text() for name in listed if (ROOT / name).is_file()}
    return {
        name: examine(name, text) for name, text in texts.items() if not _is_generated(name, text)
    }


def faults(files: dict[str, Prose]) -> Iterator[str]:
    """Explain each file that has more of a kind than the rule allows."""
    for name, prose in sorted(files.items()):
        for kind in _KINDS:
            if prose.count(kind) > prose.limit:
                places = [found for found in prose.found if found.kind == kind]
                yield "\n".join(
                    [
                        f"{name}: {len(places)} x {kind}, not over {prose.limit}: {_ADVICE[kind]}",
                        *dict.fromkeys(f"  {name}:{each.line}: {each.sentence}" for each in places),
                    ]
                )


def _is_generated(name: str, text: str) -> bool:
    return name.startswith("docs/") and text.startswith("<!-- Written by")


def _python(text: str) -> str:
    """The text with everything but docstrings and comments blanked, of the same length."""
    starts = [0]
    for line in io.StringIO(text):
        starts.append(starts[-1] + len(line))
    pieces: list[str] = []
    end = 0
    previous = tokenize.NEWLINE
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token, following in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        # A statement that is a string and nothing else is a docstring, or as good as one.
        is_docstring = (
            token.type == tokenize.STRING
            and previous in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
            and following.type in {tokenize.NEWLINE, tokenize.COMMENT}
        )
        if is_docstring or token.type == tokenize.COMMENT:
            begin = starts[token.start[0] - 1] + token.start[1]
            pieces.append(_spaces(text[end:begin]))
            pieces.append(re.sub(r'"""|^\s*#:?', lambda mark: _spaces(mark[0]), token.string))
            end = begin + len(token.string)
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            previous = token.type
    return "".join([*pieces, _spaces(text[end:])])


def _spaces(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _blank(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: _spaces(match[0]), text)


def _sentences(prose: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins and ends, without the blanks around it."""
    begin = 0
    for end in [*(match.span() for match in _SENTENCE_END.finditer(prose)), (len(prose),) * 2]:
        sentence = prose[begin : end[0]]
        if stripped := sentence.strip():
            start = begin + sentence.index(stripped)
            yield start, start + len(stripped)
        begin = end[1]
