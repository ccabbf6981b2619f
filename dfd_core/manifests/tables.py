"""A CSV or Parquet table of your own as a draft of a manifest.

======== ========= ==========================================================================================
column   needed    content
======== ========= ==========================================================================================
path     one of    relative to the table's folder, or absolute, or an fsspec URL
url      the two   an absolute path or fsspec URL; where both are given, `path` is only the name
label    yes       0 or 1, or a word: real, natural; fake, generated, synthetic, ai
generator no       what made a generated image (`unknown` without the column); for a real: whose counterpart it is
source   no        where a real comes from; else its generator column, else the dataset's name
category no        what the image shows
split    no        train, validation (val, valid, dev) or test
group    no        samples with the same text are never on both sides of a split
family   no        the generator's family, over the table of known ones
======== ========= ==========================================================================================
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Mapping
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from dfd_core.datasets.sources import TableSource
from dfd_core.errors import ManifestError
from dfd_core.manifests.addresses import beside, open_url
from dfd_core.manifests.drafts import Draft, check_both_classes, families
from dfd_core.manifests.listing import Files
from dfd_core.manifests.schema import REAL
from dfd_core.manifests.unreadable import fault_of
from dfd_core.wording import some

UNKNOWN = "unknown"
LABEL_WORDS = {"0": 0, "0.0": 0, "real": 0, "0_real": 0, "natural": 0} | dict.fromkeys(
    ("1", "1.0", "fake", "1_fake", "generated", "synthetic", "ai"), 1
)
SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("validation", "val", "valid", "dev"), "validation"
)
_COLUMNS = ("path", "url", "label", "generator", "source", "category", "split", "group", "family")
_HINT = "A table has one dataset's reals and generated images together; add rows of the other class."
Column = list[str | None]
T = TypeVar("T")


def draft_table(source: TableSource) -> Draft:
    """The rows of a table.

    Raises:
        ManifestError: The table can't be read, a column is missing, a value is not understood, most images are missing,
            one is named twice, or a class has no sample. Rows are named as `row 1` for the first below the header.
    """
    table = read_rows(source.table)
    found = list(table.column_names)
    _check_columns(source, found)
    columns = {name: texts_of(table[name]) for name in _COLUMNS if name in found}
    count = table.num_rows
    nothing: Column = [None] * count
    draft = Draft(files=_files(source.table, columns))
    draft.labels = _translated(source.table, "label", columns["label"], LABEL_WORDS, "0 (real) or 1 (generated)")
    check_both_classes(draft.labels, f"The table {source.table}", _HINT)
    stated = columns.get("generator", [UNKNOWN] * count)
    draft.generators, draft.sources = _origins(source, draft.labels, stated, columns.get("source", nothing))
    draft.categories = columns.get("category", nothing)
    draft.groups = columns.get("group", nothing)
    if "split" in columns:
        draft.splits = _translated(source.table, "split", columns["split"], SPLIT_WORDS, "train, validation or test")
    overrides = {**source.families, **_stated_families(source.table, draft, columns.get("family", nothing))}
    draft.families = families(draft.generators, overrides)
    draft.notes = _notes(source, draft, columns, found)
    return draft


def read_rows(url: str) -> pa.Table:
    """A CSV or Parquet table.

    Raises:
        ManifestError: It can't be read, or has no row.
    """
    fs, location = open_url(url)
    name = location.lower()
    try:
        if name.endswith((".parquet", ".pq")):
            table = pq.read_table(pa.BufferReader(fs.cat_file(location)))
        elif name.endswith(".csv"):
            texts = pa_csv.ConvertOptions(
                column_types=dict.fromkeys(_COLUMNS, pa.string()), strings_can_be_null=True, null_values=[""]
            )
            table = pa_csv.read_csv(pa.BufferReader(fs.cat_file(location)), convert_options=texts)
        else:
            raise ManifestError(
                f"The table {url} is neither CSV nor Parquet: its name must end in .csv, .parquet or .pq."
            )
    except FileNotFoundError as error:
        raise ManifestError(f"There is no table {url}. Check the path.") from error
    except ManifestError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise fault_of(error, f"The table {url} can't be read: {error}") from error
    except Exception as error:  # the clients of buckets have errors of their own
        if isinstance(fs, LocalFileSystem):
            raise
        raise fault_of(error, f"The table {url} can't be read: {type(error).__name__}: {error}") from error
    if table.num_rows == 0:
        raise ManifestError(f"The table {url} has no row.")
    return table


def texts_of(column: pa.ChunkedArray) -> Column:
    """A column's values as stripped texts; `None` for what is null, not a number or empty."""
    values = column.to_pylist()
    absent = [value is None or (isinstance(value, float) and math.isnan(value)) for value in values]
    return [None if none else str(value).strip() or None for value, none in zip(values, absent, strict=True)]


def _check_columns(source: TableSource, found: list[str]) -> None:
    listed = ", ".join(found)
    if len(set(found)) < len(found):
        raise ManifestError(f"The table {source.table} has two columns of one name: {listed}.")
    if "label" not in found or not {"path", "url"} & set(found):
        raise ManifestError(
            f"The table {source.table} needs a column `label` and one of `path` and `url`. Its columns are: {listed}."
        )
    for name, setting in (("split", source.splits), ("group", source.group_pattern)):
        if name in found and setting is not None:
            option = "splits" if name == "split" else "group_pattern"
            raise ManifestError(f"The table {source.table} has a column `{name}` and `{option}:` is set. Remove one.")


def _files(table: str, columns: dict[str, Column]) -> Files:
    """The files that the rows name, with what their file systems say of them."""
    values = _complete(table, "url" if "url" in columns else "path", columns)
    names = _complete(table, "path", columns) if "path" in columns else values
    files = Files(
        paths=[posixpath.normpath(name.split("://")[-1]).lstrip("/") for name in names],
        urls=[value if "://" in value or value.startswith("/") else beside(table, value) for value in values],
    )
    for what, column in (("path", files.paths), ("url", files.urls)):
        _check_distinct(table, what, column)
    files.locate()
    missing = files.missing()
    if 2 * len(missing) > len(files):
        rows = [f"{files.urls[i]} (row {i + 1})" for i in missing]
        raise ManifestError(f"{len(missing)} of {len(files)} images that {table} names are not there: {some(rows)}.")
    return files


def _complete(table: str, name: str, columns: dict[str, Column]) -> list[str]:
    column = columns[name]
    empty = [f"row {i + 1}" for i, value in enumerate(column) if value is None]
    if empty:
        raise ManifestError(f"The column `{name}` of {table} is empty in {some(empty)}. Fill it or remove the rows.")
    return [value for value in column if value is not None]


def _check_distinct(table: str, name: str, values: list[str]) -> None:
    first: dict[str, int] = {}
    twice = [f"{v} (rows {first[v] + 1} and {i + 1})" for i, v in enumerate(values) if first.setdefault(v, i) != i]
    if twice:
        raise ManifestError(
            f"{table} names {len(twice)} images twice, by `{name}`: {some(twice)}. Keep one row of each."
        )


def _translated(table: str, name: str, column: Column, words: Mapping[str, T], expected: str) -> list[T]:
    values = [words.get(value.lower()) if value is not None else None for value in column]
    wrong = [f"{column[i]!r} (row {i + 1})" for i, value in enumerate(values) if value is None]
    if wrong:
        raise ManifestError(f"The column `{name}` of {table} must be {expected}; {len(wrong)} are not: {some(wrong)}.")
    return [value for value in values if value is not None]


def _origins(source: TableSource, labels: list[int], stated: Column, sources: Column) -> tuple[list[str], Column]:
    """Generator and source of every row."""
    wrong = [
        f"{name!r} (row {i + 1})"
        for i, (label, name) in enumerate(zip(labels, stated, strict=True))
        if label == 1 and (name is None or name.lower() == REAL)
    ]
    if wrong:
        raise ManifestError(
            f"The column `generator` of {source.table} must name what made a generated image; "
            f"{len(wrong)} do not: {some(wrong)}. Write {UNKNOWN!r} where that is not known."
        )
    generators = [name if label == 1 and name is not None else REAL for label, name in zip(labels, stated, strict=True)]
    counterparts = [None if name is None or name.lower() in (REAL, UNKNOWN) else name for name in stated]
    origins = [
        None if label == 1 else origin or counterpart or source.name
        for label, origin, counterpart in zip(labels, sources, counterparts, strict=True)
    ]
    return generators, origins


def _stated_families(table: str, draft: Draft, column: Column) -> dict[str, str]:
    """The family that the table states for each generator."""
    stated: dict[str, str] = {}
    for i, (label, generator, family) in enumerate(zip(draft.labels, draft.generators, column, strict=True)):
        if label == 0 or family is None:
            continue
        if stated.setdefault(generator, family.lower()) != family.lower():
            raise ManifestError(
                f"{table} gives the generator {generator!r} the families {stated[generator]!r} and "
                f"{family!r} (row {i + 1})."
            )
    return stated


def _notes(source: TableSource, draft: Draft, columns: dict[str, Column], found: list[str]) -> list[str]:
    notes = []
    unused = [name for name in found if name not in _COLUMNS]
    if unused:
        notes.append(f"columns of {source.table} that are not used: {', '.join(unused)}")
    if "generator" not in columns:
        notes.append(f"{source.table} has no column `generator`: all generated images are by {UNKNOWN!r}")
    named = sum(
        label == 1 and value is not None for label, value in zip(draft.labels, columns.get("source", []), strict=False)
    )
    if named:
        notes.append(f"the `source` of {named} generated images is not kept, as only reals have one")
    return notes
