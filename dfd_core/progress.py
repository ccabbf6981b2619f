"""How far something is: what long loops call, and bytes among what they count."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the number of finished files and of all, or with `Bytes` while downloading; may raise to stop."""


class Bytes(int):
    """A number of bytes where progress is reported, so that whoever shows it knows the unit."""

    def __str__(self) -> str:
        size, units = float(self), ["bytes", "kB", "MB", "GB", "TB"]
        while size >= 999.5 and len(units) > 1:
            size, units = size / 1000, units[1:]
        return f"{size:.3g} {units[0]}"
