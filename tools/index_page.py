"""Writes the page of the core on the package index: README.md, with links that work there.

A link to a file of the repository leads to the address that ``[tool.site]`` in pyproject.toml has.
While it has none, the text of the link stays without the link.
"""

import re
from pathlib import Path

from tools.site import resolve

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "packages" / "core" / "README.md"
_LINK = re.compile(r"(?<!\!)\[(?P<text>[^]]*)\]\((?P<target>[^)\s]+)\)")
_ADDRESS = re.compile(r'^\[tool\.site\]\nrepository = "(?P<address>[^"]*)"', re.MULTILINE)


def repository() -> str:
    """The address of the repository's files, or an empty text."""
    found = _ADDRESS.search((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found["address"].rstrip("/") if found else ""


def index_page(address: str) -> str:
    """README.md with absolute links, or without those into the repository if *address* is empty."""

    def lead(found: re.Match[str]) -> str:
        file = resolve("README.md", found["target"])
        if file is None:
            return found[0]
        _, mark, anchor = found["target"].partition("#")
        return f"[{found['text']}]({address}/{file}{mark}{anchor})" if address else found["text"]

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"<!-- .*? -->\n", "", _LINK.sub(lead, text))


def main() -> None:
    PAGE.write_text(index_page(repository()), encoding="utf-8")


if __name__ == "__main__":
    main()
