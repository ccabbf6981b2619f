"""What results are expected to be, in a file, and whether they still are.

::

    tolerance: 0.01                      # for all that state none; a share, so one percentage point
    where: {protocol: cross_generator}   # holds for every expectation
    expectations:
      - where: {train_generator: progan, test_generator: cyclegan, classifier: nearest_neighbour, metric: accuracy}
        value: 0.837
        tolerance: 0.005
        note: recomputed from published features
      - where: {train_generator: progan, test_generator: biggan, metric: auroc}
        min: 0.7

Values are as in the table of results, where 0.837 is 83.7 %, and tolerances are in the same unit and absolute.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import Field, field_validator, model_validator

from dfd_core.errors import ConfigError, UnknownNameError
from dfd_core.specs import Spec, read_yaml

SELECTORS = (
    *("run", "detector", "protocol", "backbone", "reducer", "classifier", "seed", "shuffled_labels"),
    *("train_dataset", "train_generator", "train_family", "train_augmentation"),
    *("test_dataset", "test_generator", "test_family", "test_augmentation", "reals", "seen", "family_seen"),
    *("calibration", "threshold_policy", "metric"),
)
"""Columns of results that say what a number is."""
_WRITTEN = tuple(name for name in SELECTORS if name not in ("run", "detector", "seen", "family_seen", "train_family"))
_ROUNDING = 1e-9
Selector = str | int | bool | float | None
Share = Annotated[float, Field(allow_inf_nan=False)]
Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Status = Literal["ok", "outside", "missing", "ambiguous"]


def _known_columns(where: dict[str, Selector]) -> dict[str, Selector]:
    for name in where:
        if name not in SELECTORS:
            raise ValueError(str(UnknownNameError("column of results", name, SELECTORS)))
    return where


class Expectation(Spec):
    """One number that results should have.

    Attributes:
        where: Which row: values of columns; null where a column is to be empty.
        value: The number, as results have it.
        tolerance: How far from it results may be; the file's by default.
        min: Instead of a value the lowest that will do.
        max: Instead of a value the highest that will do.
        note: Why it is expected.
    """

    where: dict[str, Selector]
    value: Share | None = None
    tolerance: Tolerance | None = None
    min: Share | None = None
    max: Share | None = None
    note: str = ""

    _columns = field_validator("where")(_known_columns)

    @model_validator(mode="after")
    def _says_what_is_expected(self) -> Expectation:
        bounds = self.min is not None or self.max is not None
        if (self.value is None) != bounds:
            raise ValueError("give either `value` or one or both of `min` and `max`")
        if bounds and self.tolerance is not None:
            raise ValueError("`tolerance` belongs to `value`; `min` and `max` are exact")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Expectations(Spec):
    """A file of expectations.

    Attributes:
        tolerance: How far results may be from each value that states no tolerance.
        where: Values of columns that hold for all; an expectation's own stand over them.
        expectations: Each number.
    """

    tolerance: Tolerance = 0.0
    where: dict[str, Selector] = {}
    expectations: Annotated[tuple[Expectation, ...], Field(min_length=1)]

    _columns = field_validator("where")(_known_columns)

    @model_validator(mode="after")
    def _are_distinct(self) -> Expectations:
        seen: dict[str, int] = {}
        for index, one in enumerate(self.expectations):
            key = repr(sorted({**self.where, **one.where}.items()))
            if seen.setdefault(key, index) != index:
                raise ValueError(f"expectations {seen[key]} and {index} are of the same row; remove one")
        return self


@dataclass(frozen=True)
class Outcome:
    """What became of an expectation.

    Attributes:
        expectation: Which.
        status: `ok`; `outside` of what is allowed; `missing`, where no row is meant or it has no value; `ambiguous`,
            where several rows are meant and differ.
        found: The value in the results, where there is one.
        low: The lowest value that is allowed; `None` for any.
        high: The highest.
        message: What is wrong; empty where nothing is.
    """

    expectation: Expectation
    status: Status
    found: float | None
    low: float | None
    high: float | None
    message: str = ""


def load_expectations(path: str | Path) -> Expectations:
    """Reads a file of expectations.

    Raises:
        ConfigError: It is missing, no YAML, or not valid; the message names each place and the close matches.
    """
    return read_yaml(
        path, Expectations, "file of expectations", f"`dfd check RESULTS {path} --write` makes one of results."
    )


def check(results: pd.DataFrame, expectations: Expectations) -> list[Outcome]:
    """Compares results with what is expected of them.

    Args:
        results: The long table of results.
        expectations: What is expected.

    Returns:
        An outcome for each expectation, in their order.
    """
    table = _Table(results)
    return [_outcome(table, one, expectations) for one in expectations.expectations]


def expectations_of(results: pd.DataFrame, tolerance: float) -> tuple[Expectations, int]:
    """A file's content that the results themselves fulfil.

    Args:
        results: The long table of results.
        tolerance: For all values.

    Returns:
        The expectations, and how many rows have no value and are left out.

    Raises:
        ConfigError: No row has a value, or rows with the same columns have different values.
    """
    columns = [name for name in _WRITTEN if name in results.columns]
    measured = results[results["value"].notna()]
    if measured.empty:
        raise ConfigError(f"None of the {len(results)} rows of the results has a value to expect.")
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in measured[columns].to_dict("records")]
    common = {name: rows[0][name] for name in columns if all(row[name] == rows[0][name] for row in rows)}
    found: dict[str, Expectation] = {}
    for row, value in zip(rows, measured["value"].tolist(), strict=True):
        one = Expectation(where={k: v for k, v in row.items() if k not in common}, value=value)
        before = found.setdefault(repr(one.where), one)
        if before.value != one.value:
            raise ConfigError(
                f"Several rows of the results are {_named(row)}, with values {before.value} and {one.value}. Write "
                "expectations of one run at a time."
            )
    made = Expectations(tolerance=tolerance, where=common, expectations=tuple(found.values()))
    return made, len(results) - len(measured)


def dump_expectations(expectations: Expectations) -> str:
    """Expectations as YAML."""
    values = expectations.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(
        {"tolerance": expectations.tolerance} | values, sort_keys=False, allow_unicode=True, width=120
    )


def _outcome(table: _Table, one: Expectation, whole: Expectations) -> Outcome:
    tolerance = whole.tolerance if one.tolerance is None else one.tolerance
    low, high = (one.min, one.max) if one.value is None else (one.value - tolerance, one.value + tolerance)
    where = {**whole.where, **one.where}
    rows, message = table.select(where)
    values = rows["value"].tolist()
    measured = sorted({value for value in values if not math.isnan(value)})
    if message or not measured:
        notes = sorted({str(note) for note in rows.get("note", pd.Series(dtype=object)).dropna() if note})
        reason = message or f"the row has no value{': ' + '; '.join(notes[:2]) if notes else ''}"
        return Outcome(one, "missing", None, low, high, reason)
    if len(measured) > 1 or len(measured) < len(set(map(str, values))):
        differing = [name for name in SELECTORS if name in rows and name not in where and _distinct(rows[name]) > 1]
        reason = f"{len(rows)} rows have different values, from {measured[0]:.4f} to {measured[-1]:.4f}"
        reason += f"; say which by {', '.join(differing)}" if differing else ""
        return Outcome(one, "ambiguous", None, low, high, reason)
    found = measured[0]
    if (low is not None and found < low - _ROUNDING) or (high is not None and found > high + _ROUNDING):
        return Outcome(one, "outside", found, low, high, _distance(found, low, high))
    return Outcome(one, "ok", found, low, high)


class _Table:
    """Results whose rows are looked up by any columns; each combination of columns is gone through once."""

    def __init__(self, results: pd.DataFrame) -> None:
        self.results = results
        self._texts = {name: [_text(_plain(value)) for value in results[name]] for name in SELECTORS if name in results}
        self._places: dict[tuple[str, ...], dict[tuple[str | None, ...], list[int]]] = {}

    def select(self, where: Mapping[str, Selector]) -> tuple[pd.DataFrame, str]:
        """The rows that are meant, and why there is none."""
        names = tuple(sorted(where))
        absent = [name for name in names if name not in self._texts]
        if absent:
            return self.results.iloc[:0], f"the results have no column {', '.join(absent)}"
        wanted = tuple(_text(where[name]) for name in names)
        found = self._by(names).get(wanted, []) if names else list(range(len(self.results)))
        return self.results.iloc[found], "" if found else self._why(names, wanted)

    def _by(self, names: tuple[str, ...]) -> dict[tuple[str | None, ...], list[int]]:
        if names not in self._places:
            places = self._places.setdefault(names, {})
            for place, key in enumerate(zip(*(self._texts[name] for name in names), strict=True)):
                places.setdefault(key, []).append(place)
        return self._places[names]

    def _why(self, names: tuple[str, ...], wanted: tuple[str | None, ...]) -> str:
        for name, value in zip(names, wanted, strict=True):
            if value not in self._texts[name]:
                known = sorted({str(one) for one in self._texts[name]})
                close = difflib.get_close_matches(str(value), known, n=3, cutoff=0.5) or known[:5]
                return f"no row has {name} {value!r}; there are {', '.join(close)}"
        return "no row has all of these values together"


def _text(value: Selector) -> str | None:
    """A value as it is compared: a policy 0.5 may be written as a number, and whole numbers with a point."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else str(value)


def _plain(value: Any) -> Selector:
    """A cell as Python's own type; `None` for every kind of nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    plain: Selector = value.item() if hasattr(value, "item") else value
    return plain


def _distinct(column: pd.Series[Any]) -> int:
    return len({_plain(value) for value in column})


def _distance(found: float, low: float | None, high: float | None) -> str:
    beyond = found - high if high is not None and found > high else found - (low or 0.0)
    return f"{abs(beyond):.4f} {'above' if beyond > 0 else 'below'} what is allowed"


def _named(where: Mapping[str, Selector]) -> str:
    return ", ".join(f"{name} {value}" for name, value in where.items() if value is not None)
