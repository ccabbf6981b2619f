"""The columns of a manifest, and the check that a table keeps to them."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.errors import ManifestError
from dfd_core.wording import some

REAL = "real"
SPLITS = ("train", "validation", "test")

_COLUMNS: tuple[tuple[str, pa.DataType, bool, str], ...] = (
    ("sample_id", pa.string(), False, "SHA-256 of the file's original bytes, 64 hexadecimal digits"),
    ("dataset", pa.string(), False, "the dataset's name"),
    ("path", pa.string(), False, "the file's relative POSIX path, unique in its dataset"),
    ("url", pa.string(), False, "where the bytes are: an absolute local path or an fsspec URL"),
    ("label", pa.int8(), False, "0 real, 1 AI-generated"),
    ("generator", pa.string(), False, "what made it; `real` for reals"),
    ("family", pa.string(), False, "the generator's family; `real` for reals"),
    ("source", pa.string(), True, "where a real comes from; null for generated images"),
    ("category", pa.string(), True, "what it shows, where the layout or the table says so"),
    ("split", pa.string(), False, "train, validation or test"),
    ("group", pa.string(), False, "samples that belong together, within one dataset; never on both sides of a split"),
    ("format", pa.string(), True, "Pillow's name of the format, from the header; null where the header is unreadable"),
    ("width", pa.int32(), True, "pixels, from the header"),
    ("height", pa.int32(), True, "pixels, from the header"),
    ("size_bytes", pa.int64(), False, "bytes"),
    (
        "augmentation",
        pa.string(),
        True,
        "the only one that an imported sample has vectors for; null where it may be any",
    ),
)

IMPORTED = "imported:"
"""How the address of a sample begins that came as a vector, without a file."""

SCHEMA = pa.schema(
    [pa.field(name, kind, nullable=nullable, metadata={"description": text}) for name, kind, nullable, text in _COLUMNS]
)
COLUMN_DESCRIPTIONS = {name: text for name, _, _, text in _COLUMNS}
AUGMENTATION = "augmentation"
"""The one column that a manifest on disk may lack: those made before there was an import have none."""


def completed(table: pa.Table) -> pa.Table:
    """A manifest's table with the column `augmentation`, null in manifests that were written without it."""
    if AUGMENTATION in table.column_names:
        return table
    return table.append_column(SCHEMA.field(AUGMENTATION), pa.nulls(table.num_rows, pa.string()))


def validate(table: pa.Table) -> pa.Table:
    """Checks that a table is a manifest.

    Returns:
        The table with the columns in their order and their exact types.

    Raises:
        ManifestError: A column is missing or has another type, a value is not one of those allowed, a path occurs
            twice, the same bytes have two labels, or a group is in two splits.
    """
    table = _cast(table)
    if table.num_rows == 0:
        raise ManifestError("The manifest has no row.")
    _check_values(table)
    frame = table.select(["sample_id", "dataset", "path", "label", "split", "group", "format"]).to_pandas()
    _check_unique_paths(frame)
    check_labels_agree(frame)
    check_groups_stay_together(frame)
    return table


def _cast(table: pa.Table) -> pa.Table:
    table = completed(table)
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise ManifestError(
            f"A manifest lacks the columns {', '.join(missing)}. It has {', '.join(table.column_names)}."
        )
    try:
        cast = table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise ManifestError(f"A manifest's columns have other types or nulls than they may: {error}") from error
    nulls = [field.name for field in SCHEMA if not field.nullable and cast[field.name].null_count]
    if nulls:
        raise ManifestError(f"A manifest's columns {', '.join(nulls)} have nulls, which they may not.")
    return cast


def _check_values(table: pa.Table) -> None:
    real = pc.equal(table["label"], 0)
    rules = {
        "a sample_id that is not 64 hexadecimal digits": pc.match_substring_regex(table["sample_id"], "^[0-9a-f]{64}$"),
        "a label that is neither 0 nor 1": pc.is_in(table["label"], pa.array([0, 1], pa.int8())),
        f"a split that is none of {', '.join(SPLITS)}": pc.is_in(table["split"], pa.array(SPLITS)),
        "a generator that contradicts the label": pc.equal(pc.equal(table["generator"], REAL), real),
        "a family that contradicts the label": pc.equal(pc.equal(table["family"], REAL), real),
        "a source although generated": pc.or_(real, pc.is_null(table["source"])),
        "an empty group": pc.not_equal(table["group"], ""),
    }
    for what, valid in rules.items():
        bad = table.filter(pc.invert(valid))
        if bad.num_rows:
            raise ManifestError(f"{bad.num_rows} rows of the manifest have {what}: {some(bad['path'].to_pylist())}.")


def _check_unique_paths(frame: pd.DataFrame) -> None:
    twice = frame[frame.duplicated(["dataset", "path"])]
    if len(twice):
        raise ManifestError(f"{len(twice)} paths occur more than once: {some(list(twice['path']))}.")


def check_labels_agree(frame: pd.DataFrame) -> None:
    """Raises when the same bytes are called real in one row and generated in another.

    Files without a readable header are exempt, such as empty ones or the same error page under two names: they hold
    nothing that could be either, and fail in extraction.

    Args:
        frame: Columns `sample_id`, `path`, `label`, `format`.

    Raises:
        ManifestError: With the paths of the first such pair.
    """
    repeated = frame[frame.duplicated("sample_id", keep=False) & frame["format"].notna()]
    both = repeated[repeated.groupby("sample_id")["label"].transform("nunique") > 1]
    if len(both):
        first = both[both["sample_id"] == both.sort_values("path")["sample_id"].iloc[0]]
        real, generated = (first.loc[first["label"] == label, "path"].min() for label in (0, 1))
        others = both["sample_id"].nunique() - 1
        more = f", and {others} more such case{'s' if others > 1 else ''}" if others else ""
        raise ManifestError(
            f"The same bytes are labelled both real and generated: {real} (real) and {generated} (generated){more}. "
            f"Remove the wrong one{' of each' if others else ''}: `dfd audit FOLDER` lists all in a folder of images."
        )


def check_groups_stay_together(frame: pd.DataFrame) -> None:
    """Raises when a group has samples in two splits.

    Args:
        frame: Columns `dataset`, `group`, `split`, `path`.

    Raises:
        ManifestError: With the paths of the first such pair.
    """
    first = frame.drop_duplicates(["dataset", "group", "split"])
    torn = first[first.duplicated(["dataset", "group"], keep=False)].sort_values(["dataset", "group", "path"])
    if len(torn):
        a, b = torn.iloc[0], torn.iloc[1]
        count = len(torn[["dataset", "group"]].drop_duplicates())
        raise ManifestError(
            f"{count} groups are on both sides of a split, first {a['group']!r}: {a['path']} is in {a['split']}, "
            f"{b['path']} in {b['split']}. Files with the same bytes, group or match of group_pattern belong together: "
            "give them one split, or remove the duplicates."
        )
