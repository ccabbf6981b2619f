"""Tables as plain strings that Markdown, HTML, CSV, LaTeX and a terminal can show."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ABSENT = "–"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        header: C headings.
        rows: Rows of C cells.
        caption: What it shows.
        notes: What stands below it, such as what its signs mean.
        name: Of its files in a report, without ending; a table without one has no files.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    name: str = ""

    def numeric(self) -> tuple[bool, ...]:
        """For each column whether all its cells are numbers, so that they stand on the right."""
        return tuple(
            bool(self.rows) and all(not any(map(str.isalpha, cell)) and cell != "" for cell in column)
            for column in zip(*self.rows, strict=True)
        ) or (False,) * len(self.header)

    def markdown(self) -> str:
        """As Markdown whose columns also line up as plain text."""
        numeric = self.numeric()
        lines = [self.header, *self.rows]
        cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
        widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(self.header))]
        rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)]
        body = [_aligned(line, widths, numeric) for line in [cells[0], rule, *cells[1:]]]
        caption = [f"**{self.caption}**", ""] if self.caption else []
        notes = [line for note in self.notes for line in ("", note)]
        return "\n".join([*caption, *(f"| {' | '.join(line)} |" for line in body), *notes, ""])

    def csv(self) -> str:
        """As comma-separated values, the header first."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([self.header, *self.rows])
        return out.getvalue()

    def beginning(self, rows: int) -> Table:
        """The table up to so many rows, with a note of what was left out where it is longer."""
        if len(self.rows) <= rows:
            return self
        where = f"tables/{self.name}.csv" if self.name else "results.csv"
        note = f"{rows} of {len(self.rows)} rows shown; all of them: {where}."
        return Table(self.header, self.rows[:rows], self.caption, (*self.notes, note), self.name)


def text_table(table: Table) -> str:
    """A table for a terminal: columns line up, two blanks apart."""
    numeric = table.numeric()
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    body = ["  ".join(_aligned(line, widths, numeric)).rstrip() for line in lines]
    body.insert(1, "-" * max(map(len, body)))
    return "\n".join([*([table.caption] if table.caption else []), *body, *table.notes])


def percent(value: float) -> str:
    """A share in percent with one digit behind the point; a dash where there is none."""
    return f"{100 * value:.1f}" if np.isfinite(value) else ABSENT


def with_interval(value: float, low: float, high: float) -> str:
    """A share with its interval, in percent: `93.1 [90.2, 95.4]`; without one where there is none."""
    if not (np.isfinite(value) and np.isfinite(low) and np.isfinite(high)):
        return percent(value)
    return f"{percent(value)} [{percent(low)}, {percent(high)}]"


def _aligned(line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    return [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(line, widths, numeric, strict=True)
    ]
