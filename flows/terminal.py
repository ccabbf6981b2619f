"""Tables and progress on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dfd_core.progress import Bytes
from dfd_core.specs import Spec

EVERY_S = 0.1


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


class Line:
    """A line on a terminal that moves; nothing in a file."""

    def __init__(self) -> None:
        self.shown, self.last = "", 0.0

    def __call__(self, done: int, total: int) -> None:
        """So much is done, of so much."""
        if not sys.stderr.isatty() or (time.monotonic() - self.last < EVERY_S and done < total):
            return
        numbers = f"{done} of {total}" if isinstance(total, Bytes) else f"{done:,} of {total:,}"
        line = f"{100 * done // max(total, 1):3d} %  {numbers}"
        if line != self.shown:
            print(f"\r{line}\x1b[K", end="\n" if done >= total else "", file=sys.stderr, flush=True)
        self.shown, self.last = line, time.monotonic()


def plain(spec: Spec) -> dict[str, Any]:
    """What a spec says, for people: without fields that say nothing, at any depth."""
    return dict(_telling(spec.model_dump(mode="json")))


def format_facts(facts: Mapping[str, Any]) -> str:
    """What `plain` gives as YAML, in which sentences with an apostrophe are folded: quoted, they would have two."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = ">" if "'" in value and (": " in value or " #" in value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    return str(yaml.dump(dict(facts), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100))


def _telling(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: said for key, one in value.items() if (said := _telling(one)) not in (None, "", {}, [])}
    return [_telling(one) for one in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
