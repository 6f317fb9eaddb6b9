"""Builds the documentation site into ``.site/html``, from the Markdown pages of the repository.

The pages are written for a repository host: a link leads to a file by its path, and a link to a
folder to the README.md in it. Here each page gets its place in the site, and its links lead there.
The navigation is made of the lists in docs/index.md.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".site"

_OTHERS = {
    "README.md": "index.md",
    "packages/core/README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
_WITH_LISTS = ("index.md", "compatibility.md", "examples/README.md")
_FENCE = r"^ *(?P<fence>`{3,}).*?^ *(?P=fence)`*$"
_INLINE = r"(?P<ticks>`+)[^`]+(?P=ticks)"
_LINK = re.compile(
    rf"{_FENCE}|{_INLINE}|\]\((?P<target>[^)\s]+)\)",
    re.DOTALL | re.MULTILINE,
)
_ITEM = re.compile(r"^[-*] \[[^]]+\]\((?P<page>[^)\s#]+\.md)\)", re.MULTILINE)


def places() -> dict[str, str]:
    """The place in the site of each page, both as paths: one below ROOT, one in the site."""
    found = {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
    }
    for server in ROOT.glob("packages/*/README.md"):
        found[server.relative_to(ROOT).as_posix()] = f"servers/{server.parent.name}.md"
    for example in ROOT.glob("examples/*/README.md"):
        found[example.relative_to(ROOT).as_posix()] = f"examples/{example.parent.name}.md"
    return found | _OTHERS


def links(text: str) -> Iterator[re.Match[str]]:
    """The links of a page, without those in its code."""
    return (found for found in _LINK.finditer(text) if found["target"])


def resolve(page: str, target: str) -> str | None:
    """The file below ROOT that a link of *page* leads to, or None if it leaves the repository.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path, _, _ = target.partition("#")
    if not path or ":" in path:
        return None
    file = Path(os.path.normpath(ROOT / Path(page).parent / path))
    if file.is_dir():
        file /= "README.md"
    if not file.is_file():
        raise FileNotFoundError(f"{page}: the link to {target} leads nowhere")
    return file.relative_to(ROOT).as_posix()


def assemble(source: Path) -> None:
    """Write the pages of the site, and the files that they link to, into *source*."""
    pages = places()
    for page, place in pages.items():
        if place == "index.md" and page != "docs/index.md":
            continue
        text = (ROOT / page).read_text(encoding="utf-8")
        file = source / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_moved(text, page, pages, source), encoding="utf-8")
    for name in _WITH_LISTS:
        file = source / name
        file.write_text(file.read_text(encoding="utf-8") + _navigation(file), encoding="utf-8")
    shutil.copy(ROOT / "docs" / "conf.py", source)
    shutil.copytree(ROOT / "docs" / "_static", source / "_static", dirs_exist_ok=True)


def _moved(text: str, page: str, pages: dict[str, str], source: Path) -> str:
    """The text with links that lead from the place of the page to those of others."""

    def lead(found: re.Match[str]) -> str:
        file = found["target"] and resolve(page, found["target"])
        if not file:
            return found[0]
        place = pages.get(file, f"files/{file}")
        if file not in pages:
            (source / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, source / place)
        _, mark, anchor = found["target"].partition("#")
        start = Path(pages[page]).parent
        return f"]({Path(os.path.relpath(place, start)).as_posix()}{mark}{anchor})"

    return _LINK.sub(lead, text)


def _navigation(page: Path) -> str:
    """A table of contents for each heading with a list of pages below it."""
    blocks: list[str] = []
    for section in page.read_text(encoding="utf-8").split("\n## "):
        title, _, text = section.partition("\n")
        if names := [found["page"].removesuffix(".md") for found in _ITEM.finditer(text)]:
            lines = ["```{toctree}", ":hidden:", f":caption: {title.lstrip('# ')}", "", *names]
            blocks.append("\n".join(["", *lines, "```", ""]))
    return "\n".join(blocks)


def build(folder: Path) -> int:
    """Build the site in *folder*, and return the exit code. Each warning is an error."""
    shutil.rmtree(folder, ignore_errors=True)
    assemble(folder / "source")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["--jobs", "auto", str(folder / "source"), str(folder / "html")]
    return subprocess.run(command, check=False).returncode


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else FOLDER
    code = build(folder)
    if not code:
        print(f"The site begins at {folder / 'html' / 'index.html'}")
    sys.exit(code)


if __name__ == "__main__":
    main()
