"""One line of a benchmark, and where it is printed and kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAD = f"{'reference':>10} {'ours':>10} {'ratio':>8} {'cosine':>9}  {'':<16} what"
"""Of the lines that are printed; what was compared comes last, since it may be long."""


@dataclass(frozen=True)
class Measurement:
    """One line of a benchmark.

    Attributes:
        name: What was compared, with the unit.
        reference: The reference's figure.
        ours: Ours.
        ratio: How many times better ours is.
        goal: The ratio that is wanted; `None` where none was set.
        cosine: The lowest cosine between the two vectors of an image; `None` where there are no vectors.
        details: Whatever else a reader wants to know.
    """

    name: str
    reference: float
    ours: float
    ratio: float
    goal: float | None = None
    cosine: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> str:
        """One line."""
        facts = {**vars(self), **self.details}
        del facts["details"]
        return json.dumps({name: _rounded(value) for name, value in facts.items()})

    def __str__(self) -> str:
        goal = "" if self.goal is None else f"goal {self.goal:.3g} {'met' if self.ratio >= self.goal else 'MISSED'}"
        cosine = "" if self.cosine is None else f"{self.cosine:.6f}"
        return f"{self.reference:>10.4g} {self.ours:>10.4g} {self.ratio:>8.3g} {cosine:>9}  {goal:<16} {self.name}"


def tell(measurements: Iterable[Measurement], log: Path | None) -> None:
    """Prints measurements and appends them to a file of JSON lines."""
    for one in measurements:
        print(one, flush=True)
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(one.as_json() + "\n")


def _rounded(value: Any) -> Any:
    return float(f"{value:.7g}") if isinstance(value, float) else value
