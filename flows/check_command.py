"""`dfd check`: whether results still are what a file says they should be."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import typer

from dfd_core.errors import EvaluationError, StoreError, UsageError
from flows.terminal import format_table

EXAMPLE = """
\b
Examples:
  dfd check dfd-store/reports/demo-0123456789ab expected.yaml --write --tolerance 0.01
  dfd check dfd-store expected.yaml
"""
_FILE_NAMES = ("results.parquet", "results.csv")


def check(
    results: Annotated[
        str, typer.Argument(metavar="RESULTS", help="Table of results, folder of a report, or a store.")
    ],
    expectations: Annotated[Path, typer.Argument(metavar="EXPECTATIONS.yaml", help="File that says what is expected.")],
    write: Annotated[
        bool, typer.Option("--write", help="Write that file from the results instead of checking them.")
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", min=0, help="With --write: how far results may be from now; 0.01 is one percentage point."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also show what is as expected.")] = False,
) -> None:
    """Fails where a result is not within its stated tolerance.

    It also fails where a result is missing, or where several different rows match. Values and tolerances are shares, as
    in the table of results: 0.01 is one percentage point.
    """
    from dfd_core.evaluation import expectations as expected

    frame, address = read_results(results)
    if write:
        if expectations.exists():
            raise UsageError(f"{expectations} is there already. Remove it, or name another file.")
        if tolerance is None:
            raise UsageError(
                "Say how far results may be from what they are now: --tolerance 0.01 is one percentage point."
            )
        made, left_out = expected.expectations_of(frame, tolerance)
        expectations.write_text(expected.dump_expectations(made), encoding="utf-8")
        print(f"{len(made.expectations)} expectations from {address}; {left_out} rows have no value and are left out.")
        print(expectations)
        return
    if tolerance is not None:
        raise UsageError("--tolerance belongs to --write; otherwise the file of expectations says it.")
    whole = expected.load_expectations(expectations)
    outcomes = expected.check(frame, whole)
    wrong = [one for one in outcomes if one.status != "ok"]
    shown = outcomes if every else wrong
    if shown:
        print(format_table([_row(one) for one in shown]))
    print(f"{len(outcomes) - len(wrong)} of {len(outcomes)} results are as expected.")
    print(address)
    if wrong:
        counts = ", ".join(
            f"{n} {status}"
            for status in ("outside", "missing", "ambiguous")
            if (n := sum(one.status == status for one in wrong))
        )
        raise EvaluationError(f"{len(wrong)} of {len(outcomes)} results are not as {expectations} expects: {counts}.")


def read_results(place: str) -> tuple[Any, str]:
    """The long table of results as a frame, and its address.

    Args:
        place: A Parquet or CSV file, a folder that has `results.parquet`, or a store with one table of results.

    Raises:
        UsageError: There is none, or several of which nobody can say which is meant.
        StoreError: It can't be read.
    """
    from dfd_core.storage import Store

    folder, _, name = place.rstrip("/").rpartition("/")
    if place.endswith((".parquet", ".csv")):
        return _read(Store(folder or "."), name)
    store = Store(place)
    found = [name for name in store.names("") if name in _FILE_NAMES]
    if found:
        return _read(store, found[-1])  # Parquet before CSV, which has no types
    found = store.names("results", ".parquet")
    if len(found) == 1:
        return _read(store, f"results/{found[0]}")
    if found:
        addresses = "\n  ".join(store.url(f"results/{name}") for name in found)
        raise UsageError(
            f"The store {store.url()} has {len(found)} tables of results. Name one of them:\n  {addresses}"
        )
    raise UsageError(
        f"There are no results in {store.url()}: no {' or '.join(_FILE_NAMES)}, and no folder `results` with a Parquet "
        "file. Make some with `dfd run CONFIG`."
    )


def _read(store: Any, name: str) -> tuple[Any, str]:
    import pandas as pd

    address = store.url(name)
    if name.endswith(".parquet"):
        frame = store.read_table(name).to_pandas()
    else:
        try:
            frame = pd.read_csv(io.BytesIO(store.read_bytes(name)), keep_default_na=False, na_values=[""])
        except ValueError as error:
            raise StoreError(f"{address} is not a readable CSV file: {error}") from error
    lacking = [column for column in ("metric", "value") if column not in frame.columns]
    if lacking:
        raise UsageError(f"{address} is no table of results: it has no column {' and '.join(lacking)}.")
    return frame, address


def _row(one: Any) -> dict[str, Any]:
    expectation = one.expectation
    return {
        "status": one.status,
        "which": ", ".join(f"{name} {value}" for name, value in expectation.where.items()),
        "expected": _number(expectation.value) or f"{_number(one.low)}..{_number(one.high)}",
        "tolerance": "" if expectation.value is None else _number(one.high - expectation.value),
        "found": _number(one.found),
        "what": "; ".join(filter(None, [one.message, expectation.note])),
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
