"""What foreign tables say of their rows, in our words: columns are translated as wholes, never row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.datasets.families import FAMILY_NAMES, family_of
from dfd_core.errors import DatasetError, UsageError
from dfd_core.features.importing_sources import GENERATOR, Opened
from dfd_core.features.importing_vectors import row_names
from dfd_core.manifests.schema import REAL
from dfd_core.manifests.tables import LABEL_WORDS, SPLIT_WORDS, UNKNOWN

NONE = "none"
_LACKING = {
    "label": "Add a column of 0 (real) and 1 (generated), give a table with --labels FILE, or, where the file holds "
    f"one kind only, --label {REAL} or --label {GENERATOR}NAME.",
    "split": "Add a column, give a table with --labels FILE, or one split for the whole file: --split "
    "train|validation|test.",
    "generator": "Add a column, give a table with --labels FILE, or, where the file holds one kind only, --label "
    f"{GENERATOR}NAME instead of a column `label`.",
    "backbone": "Say what made the vectors: --backbone NAME.",
    "dataset": "Say what the dataset is called: --name NAME.",
}
_TEXTS = ("dataset", "augmentation", "backbone", "split", "generator", "family", "source", "category")
ROWS_SCHEMA = pa.schema(
    [
        *((name, pa.dictionary(pa.int32(), pa.string())) for name in _TEXTS),
        ("label", pa.int8()),
        ("id", pa.string()),
        ("group", pa.string()),
        ("file", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""One row per vector. `id` is null where the table has no ids, `family` where it states none; `row` starts at 0."""


def rows_of(opened: Sequence[Opened]) -> pa.Table:
    """The rows of all sources, one source after the other.

    Returns:
        A table with the columns of `ROWS_SCHEMA`.

    Raises:
        DatasetError: A value is missing or none of those it may be.
        UsageError: Something is not said at all; the message names the option that would.
    """
    parts = [_rows(one, index) for index, one in enumerate(opened)]
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def where(rows: pa.Table, opened: Sequence[Opened], mask: np.ndarray) -> str:
    """The first rows of a mask (N,), for a message: `a.parquet, row 3, row 7 and 5 more`."""
    places = np.flatnonzero(mask)
    file = np.asarray(rows["file"])[places]
    first = file == file[0]
    own = row_names(np.asarray(rows["row"])[places[first]])
    rest = int((~first).sum())
    return f"{opened[int(file[0])].source.file}, {own}" + (f", and {rest} rows of other files" if rest else "")


def _rows(one: Opened, index: int) -> pa.Table:
    source, count = one.source, len(one)
    column = _Columns(one)
    label = column.labels()
    dataset = column.named("dataset", source.dataset)
    columns = {
        "dataset": dataset,
        "augmentation": column.named("augmentation", source.augmentation or NONE),
        "backbone": column.named("backbone", source.backbone),
        "split": column.words("split", SPLIT_WORDS, "train, validation or test", source.split),
        "category": column.optional("category"),
        "family": column.families(label),
        **column.origins(label, dataset),
        "label": label,
        "id": column.ids(),
        "group": column.optional("group"),
        "file": pa.array(np.full(count, index, dtype=np.int32)),
        "row": pa.array(np.arange(count)),
    }
    arrays = [columns[field.name] for field in ROWS_SCHEMA]
    encoded = [
        array.dictionary_encode()
        if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(array.type)
        else array
        for array, field in zip(arrays, ROWS_SCHEMA, strict=True)
    ]
    return pa.table(encoded, schema=ROWS_SCHEMA)


class _Columns:
    """The columns of one source, translated."""

    def __init__(self, one: Opened) -> None:
        self.one, self.source, self.count = one, one.source, len(one)

    def labels(self) -> pa.Array:
        """(N,) int8."""
        if self.source.label is not None:
            return pa.array(np.full(self.count, int(self.source.label != REAL), dtype=np.int8))
        words = {word: str(label) for word, label in LABEL_WORDS.items()}
        return self.words("label", words, "0 (real) or 1 (generated)").cast(pa.int8())

    def named(self, name: str, otherwise: str | None) -> pa.Array:
        """A column that has a value in every row, or one value for all."""
        if name not in self.one.rows.column_names:
            return self._same(name, otherwise)
        texts = self.optional(name)
        self._complete(name, texts)
        return texts

    def words(self, name: str, words: Mapping[str, str], expected: str, otherwise: str | None = None) -> pa.Array:
        """A column of known words, as what they mean."""
        if name not in self.one.rows.column_names:
            return self._same(name, otherwise)
        texts = self.optional(name)
        meant = _translated(texts, lambda text: words.get(text.lower()))
        self._refuse(name, texts, np.asarray(pc.is_null(meant)), f"must be {expected}")
        return meant

    def optional(self, name: str) -> pa.Array:
        """A column's stripped texts, null where there is nothing."""
        if name not in self.one.rows.column_names:
            return pa.nulls(self.count, pa.string())
        column = self.one.rows[name].combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        try:
            texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DatasetError(f"The column `{name}` of {self._file()} has no texts or numbers: {error}") from error
        return pc.if_else(pc.equal(texts, ""), None, texts)

    def ids(self) -> pa.Array:
        """Stated ids; all null where there is no such column."""
        ids = self.optional("sample_id")
        if "sample_id" in self.one.rows.column_names:
            self._complete("sample_id", ids)
        return ids

    def families(self, label: pa.Array) -> pa.Array:
        """Stated families of generated images, null where none is stated and for reals."""
        texts = self.optional("family")
        texts = pc.if_else(pc.equal(label, 1), texts, None)
        lower = pc.utf8_lower(texts)
        known = pc.is_in(lower, pa.array(FAMILY_NAMES))
        wrong = np.asarray(pc.and_(pc.is_valid(texts), pc.invert(known)))
        self._refuse("family", texts, wrong, f"must be one of {', '.join(FAMILY_NAMES)} for generated images")
        return lower

    def origins(self, label: pa.Array, dataset: pa.Array) -> dict[str, pa.Array]:
        """Generator and source: of a real the stated one, else whose counterpart it is, else the dataset."""
        fake = pc.equal(label, 1)
        if self.source.label is not None:
            stated = self._same("generator", self.source.label.removeprefix(GENERATOR))
        elif "generator" in self.one.rows.column_names:
            stated = self.optional("generator")
        else:
            raise UsageError(self._lacks("generator"))
        lower = pc.utf8_lower(stated)
        nobody = pc.fill_null(pc.equal(lower, REAL), True)
        self._refuse(
            "generator", stated, np.asarray(pc.and_(fake, nobody)),
            f"must name what made a generated image ({UNKNOWN!r} where that is not known)",
        )  # fmt: skip
        counterpart = pc.if_else(pc.or_(nobody, pc.equal(lower, UNKNOWN)), None, stated)
        source = pc.coalesce(self.optional("source"), counterpart, dataset)
        return {"generator": pc.if_else(fake, stated, REAL), "source": pc.if_else(fake, None, source)}

    def _same(self, name: str, value: str | None) -> pa.Array:
        if value is None:
            raise UsageError(self._lacks(name))
        return pa.array([value]).take(pa.array(np.zeros(self.count, np.int8)))

    def _lacks(self, name: str) -> str:
        return f"{self.source.file} does not say the {name} of its rows. {_LACKING[name]}"

    def _file(self) -> str:
        return f"{self.source.file}" + (f" or {self.source.labels}" if self.source.labels else "")

    def _complete(self, name: str, texts: pa.Array) -> None:
        empty = np.asarray(pc.is_null(texts))
        if empty.any():
            rows = row_names(np.flatnonzero(empty))
            raise DatasetError(f"The column `{name}` of {self._file()} is empty in {rows}. Fill it or remove the rows.")

    def _refuse(self, name: str, texts: pa.Array, wrong: np.ndarray, rule: str) -> None:
        if wrong.any():
            places = np.flatnonzero(wrong)
            values = texts.take(pa.array(places[:3])).to_pylist()
            raise DatasetError(
                f"The column `{name}` of {self._file()} {rule}; {len(places)} are not: "
                f"{', '.join(map(repr, values))} in {row_names(places)}."
            )


def known_families(rows: pa.Table, opened: Sequence[Opened]) -> pa.Table:
    """The rows with a family for every generator: the stated one, else the table's of known names.

    Raises:
        DatasetError: A generator of a dataset has two families.
    """
    kinds = rows.group_by(["dataset", "generator", "label", "family"]).aggregate([([], "count_all")]).to_pylist()
    stated: dict[tuple[str, str], str] = {}
    for one in kinds:
        key, family = (one["dataset"], one["generator"]), one["family"]
        if family is not None and stated.setdefault(key, family) != family:
            named = (f"{one!r} in {where(rows, opened, _of_family(rows, *key, one))}" for one in (stated[key], family))
            raise DatasetError(
                f"The generator {key[1]!r} of {key[0]} has the families {' and '.join(named)}. Give all its rows one."
            )
    real = {(one["dataset"], one["generator"]) for one in kinds if one["label"] == 0}
    (dataset, datasets), (generator, generators) = codes(rows, "dataset"), codes(rows, "generator")
    distinct, inverse = np.unique(dataset * len(generators) + generator, return_inverse=True)
    pairs = [(datasets[one // len(generators)], generators[one % len(generators)]) for one in distinct.tolist()]
    families = pa.array([REAL if pair in real else stated.get(pair) or family_of(pair[1]) for pair in pairs])
    column = families.take(pa.array(inverse)).dictionary_encode()
    return rows.set_column(rows.schema.get_field_index("family"), ROWS_SCHEMA.field("family"), column)


def _of_family(rows: pa.Table, dataset: str, generator: str, family: str) -> np.ndarray:
    """Which rows (N,) say that a generator is of a family."""
    wanted = {"dataset": dataset, "generator": generator, "family": family}
    masks = [pc.fill_null(pc.equal(rows[name].cast(pa.string()), value), False) for name, value in wanted.items()]
    return np.asarray(np.logical_and.reduce([np.asarray(mask) for mask in masks]))


def codes(rows: pa.Table, name: str) -> tuple[np.ndarray, list[str]]:
    """A dictionary column as numbers (N,) int64, -1 where null, and the values they stand for."""
    column = rows[name].combine_chunks()
    return np.asarray(pc.fill_null(column.indices, -1), dtype=np.int64), column.dictionary.to_pylist()


def _translated(texts: pa.Array, translate: Callable[[str], str | None]) -> pa.Array:
    """Texts by a function of each distinct one; null stays null."""
    encoded = texts.dictionary_encode()
    meant = pa.array([translate(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return meant.take(encoded.indices)
