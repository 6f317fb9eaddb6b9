"""The material of the pages: everything that is read from files, and the pages' words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli

from .checks import FAIL, PASS
from .notes import read_notes
from .probes import NOT_APPLICABLE, UNTESTED, read_probes
from .results import read_results
from .targets import read_targets

SETUPS = {
    "stock": "Stock Django",
    "handler": "Our handler",
    "installed": "Adapter installed",
    "command": "Our command",
}
ROWS = {
    "start": "Start",
    "state": "State",
    "boot failure": "Boot failure",
    "stop": "Stop",
    "recycle": "Recycle",
    "log": "Log",
    "": "Observations",
}
WORDS = {
    PASS: "yes",
    FAIL: "**no**",
    "partial": "**in part**",
    "varies": "**varies**",
    "blocked": "**not reached**",
    NOT_APPLICABLE: "",
    UNTESTED: "not run",
}


class Book:
    """Everything that the pages are made of."""

    def __init__(self) -> None:
        self.targets = [target for target in read_targets().values() if not target.control]
        self.probes = read_probes()
        self.results = read_results()
        self.notes = read_notes()
        servers = (Path(__file__).parents[1] / "servers.toml").read_text()
        self.servers: dict[str, dict[str, Any]] = tomli.loads(servers)
