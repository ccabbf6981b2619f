"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def format_table(rows: Sequence[Mapping[str, Any]], markdown: bool = False) -> str:
    """Rows as lines of aligned columns under their names; the columns are those of the first row, numbers to the right.

    Args:
        rows: What to show.
        markdown: As a Markdown table.
    """
    if not rows:
        return "(none)"
    columns = list(rows[0])
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    right = [all(isinstance(row.get(column), int | float | None) for row in rows) for column in columns]
    rule = [("-" * (w - 1) + ":" if r and markdown else "-" * w) for w, r in zip(widths, right, strict=True)]
    start, between, end = ("| ", " | ", " |") if markdown else ("", "  ", "")
    lines = [
        between.join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True))
        for line in (columns, rule, *cells)
    ]
    return "\n".join(f"{start}{line}{end}".rstrip() for line in lines)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
