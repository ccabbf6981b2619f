"""What can be imported, and opening it: Parquet tables, arrays (.npy, .npz), tensors (.pt); tables of labels beside."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from pydantic import AfterValidator, AliasChoices, Field

from dfd_core.datasets.sources import SplitName
from dfd_core.errors import DatasetError, UsageError
from dfd_core.features.importing_arrays import ArrayVectors, read_arrays
from dfd_core.features.importing_vectors import LIST_COLUMNS, ParquetVectors, Vectors
from dfd_core.manifests.addresses import open_url
from dfd_core.manifests.schema import REAL
from dfd_core.specs import Location, Spec
from dfd_core.wording import some

GENERATOR = "generator="
COLUMNS = (
    *("sample_id", "dataset", "split", "generator", "family", "label", "backbone", "augmentation"),
    *("group", "source", "category"),
)
"""What a table may say of a row, beside its vector."""
ALIAS = "transform"
"""What tables of the field call an augmentation."""
_OPTIONS = ("backbone", "augmentation", "split", "label")
_READ_AT_ONCE = 2**22


def _is_a_label(value: str) -> str:
    if value != REAL and (not value.startswith(GENERATOR) or value.removeprefix(GENERATOR).lower() in ("", REAL)):
        raise ValueError(
            f"a label is `{REAL}` or `{GENERATOR}NAME` with the name of what made the images, not {value!r}"
        )
    return value


Label = Annotated[str, AfterValidator(_is_a_label)]


class ImportSource(Spec):
    """A file of vectors that exist already, and what the file itself does not say of them.

    Attributes:
        file: A Parquet table, .npy, .npz, .pt or .pth, at any fsspec URL.
        dataset: The dataset's name where no column says it.
        backbone: What made the vectors, where no column says it.
        augmentation: What had been done to the pixels, where no column says it; else `none`.
        split: The split of all rows, where no column says it.
        label: `real`, or `generator=NAME` where one generator made all, where no column says it.
        labels: A CSV or Parquet table with as many rows in the same order, for what the file does not say.
        embedding: The column or key of the vectors where the name does not show it.
    """

    file: Location
    dataset: Annotated[str, Field(min_length=1)] | None = None
    backbone: Annotated[str, Field(min_length=1)] | None = None
    augmentation: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, validation_alias=AliasChoices("augmentation", ALIAS)
    )
    split: SplitName | None = None
    label: Label | None = None
    labels: Location | None = None
    embedding: str | None = None

    @property
    def name(self) -> str:
        """The file's own name."""
        return posixpath.basename(self.file.replace("\\", "/"))

    def said(self) -> dict[str, Any]:
        """Everything but where the files are."""
        return self.model_dump(mode="json", exclude={"file", "labels"})


@dataclass(frozen=True)
class Opened:
    """An opened source.

    Attributes:
        source: Which.
        rows: (N rows) those of `COLUMNS` that it has, as they stand there.
        vectors: Its N vectors.
        notes: What a person should know of it.
    """

    source: ImportSource
    rows: pa.Table
    vectors: Vectors
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return self.vectors.count


def open_source(source: ImportSource) -> Opened:
    """Opens a file and reads what it says of its rows, not yet the vectors.

    Raises:
        DatasetError: It is missing or unreadable, or holds no vectors.
        UsageError: It does not say which column the vectors are, or what it says and an option contradict each other.
    """
    fs, location = open_url(source.file)
    ending = posixpath.splitext(location)[1].lower()
    if not fs.exists(location):
        raise DatasetError(f"There is no file {source.file}. Check the path.")
    try:
        vectors, rows, unused = _open(fs, location, ending, source)
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        raise DatasetError(f"{source.file} can't be read as {ending or 'a table'}: {error}") from error
    if not vectors.count:
        raise DatasetError(f"{source.file} has no row.")
    if source.labels is not None:
        rows, more = _joined(source, rows, vectors.count)
        unused += more
    given = [name for name in _OPTIONS if getattr(source, name) is not None]
    both = [name for name in given if name in rows.column_names]
    both += ["generator (by --label)"] if source.label and "generator" in rows.column_names else []
    if both:
        raise UsageError(
            f"{source.file} has columns for {', '.join(both)} itself, and options say it too. Leave out the options, "
            "or the columns."
        )
    notes = (f"{source.name}: not used are {some(unused, 6)}",) if unused else ()
    return Opened(source, rows, vectors, notes)


def distinct_names(sources: Sequence[ImportSource]) -> list[str]:
    """The files' names, with as many of their folders as it takes to tell them apart.

    Raises:
        UsageError: A file is named twice.
    """
    files = [source.file.replace("\\", "/") for source in sources]
    twice = sorted({file for file in files if files.count(file) > 1})
    if twice:
        raise UsageError(f"{some(twice)} is to be imported more than once. Name each file once.")
    depth = 1
    while len({tuple(file.split("/")[-depth:]) for file in files}) < len(files):
        depth += 1
    return ["/".join(file.split("/")[-depth:]) for file in files]


def digest_of_source(source: ImportSource) -> str:
    """SHA-256 over the bytes of a source's files, in hexadecimal."""
    digest = hashlib.sha256()
    for url in (source.file, source.labels):
        if url is None:
            continue
        fs, location = open_url(url)
        try:
            with fs.open(location, "rb") as file:
                while block := file.read(_READ_AT_ONCE):
                    digest.update(block)
        except FileNotFoundError as error:
            raise DatasetError(f"There is no file {url}. Check the path.") from error
        except OSError as error:
            raise DatasetError(f"{url} can't be read: {error}") from error
        digest.update(b"\0end of file\0")
    return digest.hexdigest()


def _open(fs: Any, location: str, ending: str, source: ImportSource) -> tuple[Vectors, pa.Table, list[str]]:
    """Vectors, what is said of the rows, and the names of what is not used."""
    local = isinstance(fs, LocalFileSystem)
    if ending in (".parquet", ".pq"):
        file = pq.ParquetFile(location if local else fs.open(location, "rb"), memory_map=local, pre_buffer=False)
        vectors = ParquetVectors(source.file, file, source.embedding)
        rows = _renamed(source.file, file.read(columns=[name for name in file.schema_arrow.names if _is_ours(name)]))
        used = {*vectors.columns, *(name for name in file.schema_arrow.names if _is_ours(name))}
        return vectors, rows, [name for name in file.schema_arrow.names if name not in used]
    if ending in (".npy", ".npz", ".pt", ".pth"):
        if source.embedding and ending == ".npy":
            raise UsageError(f"{source.file} is one array, so --embedding {source.embedding} makes no sense.")
        X, columns, unused = read_arrays(fs, location, ending, source.embedding or LIST_COLUMNS)
        rows = _renamed(source.file, pa.table(columns)) if columns else pa.table({})
        return ArrayVectors(source.file, X), rows, unused
    raise DatasetError(f"{source.file} is none of .parquet, .npy, .npz, .pt by its name. Convert it to one of them.")


def _is_ours(name: str) -> bool:
    return name in COLUMNS or name == ALIAS


def _renamed(url: str, rows: pa.Table) -> pa.Table:
    """The rows with `transform`, the word of the field's tables, as `augmentation`, our own."""
    twice = sorted({name for name in rows.column_names if rows.column_names.count(name) > 1})
    if twice:
        raise DatasetError(f"{url} has two columns named {', '.join(twice)}. Rename or remove one.")
    if {"augmentation", ALIAS} <= set(rows.column_names):
        raise DatasetError(f"{url} has columns `{ALIAS}` and `augmentation`, which mean the same. Remove one.")
    return rows.rename_columns(["augmentation" if name == ALIAS else name for name in rows.column_names])


def _joined(source: ImportSource, rows: pa.Table, count: int) -> tuple[pa.Table, list[str]]:
    """The rows with the columns of the table of labels."""
    url = str(source.labels)
    labels = _read_labels(url)
    if labels.num_rows != count:
        raise DatasetError(
            f"{url} has {labels.num_rows} rows, {source.file} has {count}. Row i of the one belongs to row i of the "
            "other, so both must have as many."
        )
    own = _renamed(url, labels.select([name for name in labels.column_names if _is_ours(name)]))
    both = [name for name in own.column_names if name in rows.column_names]
    if both:
        raise UsageError(f"Both {source.file} and {url} have {', '.join(both)}. Remove it from one of them.")
    columns = {name: table[name] for table in (rows, own) for name in table.column_names}
    return pa.table(columns), [name for name in labels.column_names if not _is_ours(name)]


def _read_labels(url: str) -> pa.Table:
    fs, location = open_url(url)
    try:
        if location.lower().endswith((".parquet", ".pq")):
            return pq.read_table(pa.BufferReader(fs.cat_file(location)))
        if location.lower().endswith(".csv"):
            texts = pa_csv.ConvertOptions(
                column_types=dict.fromkeys((*COLUMNS, ALIAS), pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            )
            return pa_csv.read_csv(pa.BufferReader(fs.cat_file(location)), convert_options=texts)
    except FileNotFoundError as error:
        raise DatasetError(f"There is no table of labels {url}. Check the path.") from error
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"The table of labels {url} can't be read: {error}") from error
    raise DatasetError(f"The table of labels {url} must end in .csv or .parquet.")
