"""Numbers and lists of names as people write them, for messages, logs and tables."""

from __future__ import annotations

from collections.abc import Sequence


def some(names: Sequence[str], limit: int = 3) -> str:
    """The first few of some names, for a message: `a, b, c and 4 more`."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def counted(n: int, one: str) -> str:
    """So many of something, such as `1 shard` or `1,200 shards`."""
    return f"{n:,} {one}{'s' * (n != 1)}"


def duration(seconds: float) -> str:
    """Seconds as people say them, such as `50 s`, `12 min` or `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def figure(rate: float) -> str:
    """Three digits of a rate as people write them, such as `0.25`, `31.7` or `3,760`."""
    rounded = three_digits(rate)
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def three_digits(value: float) -> float:
    """A number rounded to three digits that count."""
    return float(f"{value:.3g}")


def how_to_install(extra: str) -> str:
    """How an optional part of dfd is installed, for messages; dfd is installed from its checkout."""
    return f"`pip install '.[{extra}]'` in dfd's folder"
