"""Tables and progress on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dfd_core.progress import Bytes
from dfd_core.specs import Spec
from dfd_core.wording import duration, figure

EVERY_S = 0.1
SETTLED_S = 1.0


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


def narrower(header: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    """A table as it stands or turned, whichever has the shorter lines.

    Args:
        header: Names of the columns.
        rows: What stands below them.
        names: So many columns say what a row is about; turned, they are the heads of the columns.
    """
    upright = format_table([dict(zip(header, row, strict=True)) for row in rows])
    heads = ["", *("/".join(row[:names]) for row in rows)]
    below = zip(header[names:], *(row[names:] for row in rows), strict=True)
    turned = format_table([dict(zip(heads, line, strict=True)) for line in below])
    return min(upright, turned, key=lambda text: max(map(len, text.splitlines())))


class Line:
    """A line on a terminal that moves: how far something is, how fast, and for how long still; nothing in a file."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.shown, self.last_s = "", 0.0
        self.total, self.there, self.began_s = -1, 0, 0.0

    def __call__(self, done: int, total: int) -> None:
        """So much is done, of so much."""
        now_s = time.monotonic()
        if total != self.total or done < self.there:  # something new; what is done at first was there before
            self.total, self.there, self.began_s = total, done, now_s
        if not sys.stderr.isatty() or (now_s - self.last_s < EVERY_S and done < total):
            return
        numbers = f"{done} of {total}" if isinstance(total, Bytes) else f"{done:,} of {total:,}"
        line = f"{self.title}: {100 * done // max(total, 1):3d} %  {numbers}{self._pace(done, total, now_s)}"
        line = line[: shutil.get_terminal_size().columns - 1]  # a longer one would not be overwritten
        if line != self.shown:
            print(f"\r{line}\x1b[K", end="\n" if done >= total else "", file=sys.stderr, flush=True)
        self.shown, self.last_s = line, now_s

    def _pace(self, done: int, total: int, now_s: float) -> str:
        passed_s = now_s - self.began_s
        if passed_s < SETTLED_S or done <= self.there:
            return ""
        rate = (done - self.there) / passed_s
        pace = Bytes(int(rate)) if isinstance(total, Bytes) else figure(rate)
        return f", {pace}/s" + (f", about {duration((total - done) / rate)} left" if done < total else "")


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
