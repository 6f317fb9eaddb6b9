"""One line of the table of the page that `just bench` writes."""

from typing import NamedTuple

__all__ = ("Row",)


class Row(NamedTuple):
    """Its cells. *kept* is None where there is no budget."""

    figure: str
    budget: str
    this: str
    stock: str
    previous: str
    floor: str
    control: str
    kept: bool | None
