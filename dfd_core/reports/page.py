"""The page that people read: one file that needs neither network nor the files beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from dfd_core.plots.figures import DPI
from dfd_core.reports.sections import Picture, Section
from dfd_core.templates import render

PICTURES_BYTES = 8_000_000
"""Of all pictures on the page; those beyond it are named instead. In base64 they take a third more."""
MAX_ROWS = 200
"""Of a table on the page."""
_CSS_PIXELS_PER_IN = 72  # at which letters of 8 points can still be read; narrower screens scroll a picture in its box


@dataclass(frozen=True)
class Shown:
    """A picture as it stands on the page.

    Attributes:
        caption: What it shows.
        width: Least width in CSS pixels.
        source: A data URI, or nothing where there was no more room.
        name: Its file beside the page.
    """

    caption: str
    width: int
    source: str
    name: str


def html(title: str, sections: Sequence[Section], notes: Sequence[str], footer: Sequence[str]) -> str:
    """The page.

    Args:
        title: The run's name.
        sections: What it shows, in this order.
        notes: What a reader must know first.
        footer: Where it comes from, a line each.
    """
    pictures = _within_budget(sections)
    shown = [
        {
            "title": section.title,
            "text": section.text,
            "links": section.links,
            "pictures": own,
            "tables": [table.beginning(MAX_ROWS) for table in section.tables],
            "folded": section.folded,
        }
        for section, own in zip(sections, pictures, strict=True)
    ]
    return render("reports/report.html", title=title, notes=notes, sections=shown, footer=footer)


def _within_budget(sections: Sequence[Section]) -> list[list[Shown]]:
    left = PICTURES_BYTES
    found = []
    for section in sections:
        own = []
        for picture in section.pictures:
            fits = len(picture.data) <= left
            left -= len(picture.data) if fits else 0
            own.append(Shown(picture.caption, _width(picture), _data_uri(picture) if fits else "", picture.name))
        found.append(own)
    return found


def _width(picture: Picture) -> int:
    """From the header of a PNG file."""
    return round(int.from_bytes(picture.data[16:20], "big") / DPI * _CSS_PIXELS_PER_IN)


def _data_uri(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.data).decode()
