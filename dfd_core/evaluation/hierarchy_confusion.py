"""What was taken for what, at one level of a hierarchy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dfd_core.detectors.hierarchy_spec import REAL, UNKNOWN, Level
from dfd_core.evaluation.hierarchy_truth import Truth


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix, end to end.

    Attributes:
        hierarchy: The hierarchy's name.
        test: The test set's name.
        level: The level.
        rows: R kinds of samples: reals first, families together, those of generators never seen in training last.
        columns: C answers and their families: `real` first, families together, `unknown` last.
        counts: (R, C) int64 samples.
    """

    hierarchy: str
    test: str
    level: Level
    rows: tuple[Truth, ...]
    columns: tuple[tuple[str, str], ...]
    counts: np.ndarray

    def shares(self) -> np.ndarray:
        """(R, C) float64: the counts as shares of their row."""
        return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True))

    def as_json(self) -> dict[str, Any]:
        """The matrix as JSON values, for `from_json`."""
        return {**asdict(self), "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Confusion:
        """Reads what `as_json` gave."""
        rows = tuple(Truth(**row) for row in value["rows"])
        columns = tuple((name, family) for name, family in value["columns"])
        counts = np.array(value["counts"], dtype=np.int64).reshape(len(rows), len(columns))
        return cls(**{**value, "rows": rows, "columns": columns, "counts": counts})


def count(
    about: tuple[str, str, Level], truths: Sequence[Truth], answers: np.ndarray, known: Sequence[tuple[str, str]]
) -> Confusion:
    """Counts what was taken for what.

    Args:
        about: The hierarchy, the test set and the level.
        truths: What each of N samples is.
        answers: (N,) what was said of each.
        known: The answers there can be beside `unknown`, each with its family.
    """
    rows = sorted(set(truths), key=lambda row: (not row.seen, row.name != REAL, row.family, row.name))
    columns = [*sorted(known, key=lambda one: (one[0] != REAL, one[1], one[0])), (UNKNOWN, UNKNOWN)]
    row_of = {row: index for index, row in enumerate(rows)}
    column_of = {name: index for index, (name, _) in enumerate(columns)}
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(counts, ([row_of[one] for one in truths], [column_of[one] for one in answers]), 1)
    return Confusion(*about, tuple(rows), tuple(columns), counts)
