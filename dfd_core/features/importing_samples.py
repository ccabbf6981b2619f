"""Which samples imported rows are, and whether honest numbers can be made from them.

A sample may have several rows: under several augmentations, or from several backbones. All of them must say the same.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.errors import DatasetError
from dfd_core.features.ids import sorted_order
from dfd_core.features.importing_rows import codes, where
from dfd_core.features.importing_sources import Opened
from dfd_core.manifests.schema import IMPORTED, REAL, SCHEMA, validate

_AT_ONCE = 2**16
_SAID = ("label", "split", "generator", "source", "category", "group")
"""What all rows of a sample must agree on. Rows without ids are the same sample where their vectors are equal; then
only the first two must."""


@dataclass(frozen=True)
class Samples:
    """The samples behind N rows.

    Attributes:
        ids: (N,) ids of 64 hexadecimal digits, of type `S64`.
        number: (N,) which sample a row belongs to.
        first: (S,) the first row of each sample.
        stated: (N,) whether the row's id stands in its table.
    """

    ids: np.ndarray
    number: np.ndarray
    first: np.ndarray
    stated: np.ndarray


def samples_of(rows: pa.Table, digests: np.ndarray) -> Samples:
    """The sample of each row.

    Args:
        rows: N rows.
        digests: (N,) `S64`, the digest of the vector of each row that has no id; the others don't count.
    """
    stated = np.asarray(rows["id"].is_valid())
    dataset, datasets = codes(rows, "dataset")
    ids = np.empty(len(rows), "S64")
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        own = rows["id"][part].to_pylist()
        names = [one or digest.decode() for one, digest in zip(own, digests[part].tolist(), strict=True)]
        ids[part] = [_hashed(datasets[d], name) for d, name in zip(dataset[part].tolist(), names, strict=True)]
    order = sorted_order(ids)
    new = np.concatenate([[True], ids[order][1:] != ids[order][:-1]])
    number = np.empty(len(ids), dtype=np.int64)
    number[order] = np.cumsum(new) - 1
    first = np.full(int(new.sum()), len(ids), dtype=np.int64)
    np.minimum.at(first, number, np.arange(len(ids)))
    return Samples(ids, number, first, stated)


def _hashed(dataset: str, name: str) -> str:
    return hashlib.sha256(f"imported\n{dataset}\n{name}".encode()).hexdigest()


def check_agreement(rows: pa.Table, samples: Samples, opened: Sequence[Opened]) -> None:
    """Sees that no sample occurs twice in a feature set, and that its rows say the same of it.

    Raises:
        DatasetError: With the first rows that don't.
    """
    feature_set, _ = feature_sets_of(rows)
    key = samples.number * (int(feature_set.max()) + 1) + feature_set
    repeated = _repeats(key) & samples.stated
    if repeated.any():
        name = rows["id"][int(np.flatnonzero(repeated)[0])]
        raise DatasetError(
            f"Ids of samples occur more than once in one dataset, augmentation and backbone, first {str(name)!r} in "
            f"{where(rows, opened, repeated)}. Remove the repeated rows, or give different samples different ids."
        )
    for name in _SAID:
        column = rows[name].combine_chunks()
        values = codes(rows, name)[0] if pa.types.is_dictionary(column.type) else None
        if values is None:
            values = np.asarray(column.dictionary_encode().indices.fill_null(-1), dtype=np.int64)
        differs = values != values[samples.first][samples.number]
        if name not in ("label", "split"):
            differs &= samples.stated
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            before = int(samples.first[samples.number[row]])
            what = f"the id {str(rows['id'][row])!r}" if samples.stated[row] else "the same vector, so the same image"
            raise DatasetError(
                f"Rows of {what} have different values of `{name}`: {str(rows[name][before])!r} in "
                f"{where(rows, opened, _only(before, len(rows)))} and {str(rows[name][row])!r} in "
                f"{where(rows, opened, differs)}. Correct or remove one of them."
            )


def augmentations_of(rows: pa.Table, samples: Samples, opened: Sequence[Opened]) -> pa.Array:
    """The one augmentation that each sample has vectors for, (S,), null where it has all of its dataset's.

    Raises:
        DatasetError: A sample has some of the augmentations but not all, or backbones have not the same samples.
    """
    augmentation, augmentations = codes(rows, "augmentation")
    dataset, datasets = codes(rows, "dataset")
    pairs = np.unique(samples.number * len(augmentations) + augmentation)
    sample, own = np.divmod(pairs, len(augmentations))
    count = np.bincount(sample, minlength=len(samples.first))
    there = np.unique(dataset * len(augmentations) + augmentation) // len(augmentations)
    total = np.bincount(there, minlength=len(datasets))[dataset[samples.first]]
    some = (count > 1) & (count < total)
    if some.any():
        row = int(samples.first[some].min())
        raise DatasetError(
            f"The sample {str(rows['id'][row])!r} of {datasets[dataset[row]]} has vectors under several augmentations "
            f"but not all ({where(rows, opened, some[samples.number])}). Give each sample one augmentation or all of "
            "them: add the missing rows, or give the rows of each augmentation ids of their own."
        )
    _check_backbones(rows, samples)
    only = np.full(len(samples.first), -1, dtype=np.int64)
    only[sample] = own
    single = count == 1
    return pa.array(augmentations).take(pa.array(only, mask=~single))


def _check_backbones(rows: pa.Table, samples: Samples) -> None:
    """Raises where backbones have not the same samples under an augmentation."""
    feature_set, names = feature_sets_of(rows)
    places = sorted({name[:2] for name in names})
    place = np.array([places.index(name[:2]) for name in names])
    pairs = np.unique(samples.number * len(names) + feature_set)
    found = np.bincount(pairs % len(names), minlength=len(names))
    pairs = np.unique(samples.number * len(places) + place[feature_set])
    wanted = np.bincount(pairs % len(places), minlength=len(places))[place]
    for index in np.flatnonzero(found < wanted).tolist():
        dataset, augmentation, backbone = names[index]
        raise DatasetError(
            f"The backbone {backbone} has {found[index]} of the {wanted[index]} samples of {dataset} under "
            f"{augmentation}. All backbones of an import must have the same samples, by the same `sample_id`: complete "
            "them, or import them under different names (--name)."
        )


def check_classes(rows: pa.Table) -> None:
    """Sees that wherever there are generated images there are the reals to compare them with, and reverse.

    Raises:
        DatasetError: With the dataset, split, augmentation and generator that lack them.
    """
    keys = ["dataset", "split", "augmentation", "label", "generator", "source"]
    kinds = rows.group_by(keys).aggregate([([], "count_all")]).to_pylist()
    parts: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    own = {(one["dataset"], one["source"]) for one in kinds if one["label"] == 0}
    for one in kinds:
        parts[one["dataset"], one["split"], one["augmentation"]].append(one)
    for (dataset, split, augmentation), some in sorted(parts.items()):
        place = f"{dataset}, split {split}, augmentation {augmentation},"
        reals = {one["source"] for one in some if one["generator"] == REAL}
        generators = sorted({one["generator"] for one in some if one["generator"] != REAL})
        if not generators:
            raise DatasetError(f"{place} has real images only. Import generated ones with them, or leave these out.")
        if not reals:
            raise DatasetError(
                f"{place} has generated images only ({', '.join(generators)}). Nothing can be said of a generator "
                "without reals: import reals of the same dataset, split and augmentation with them, or leave these out."
            )
        alone = [one for one in generators if (dataset, one) in own and one not in reals]
        if alone:
            raise DatasetError(
                f"{place} has no reals for {', '.join(alone)}: the reals whose source is that generator are in other "
                "splits or augmentations. Add some, or remove the source of the others."
            )


def manifests_of(rows: pa.Table, samples: Samples, augmentation: pa.Array, names: Sequence[str]) -> dict[str, pa.Table]:
    """A manifest's table for each dataset.

    Args:
        rows: With their families.
        samples: Their samples.
        augmentation: (S,) the one augmentation of each sample, or null.
        names: The names of the files.

    Raises:
        ManifestError: A group is in two splits.
    """
    is_first = np.zeros(len(rows), dtype=bool)
    is_first[samples.first] = True
    chosen = np.flatnonzero(is_first | ~samples.stated)
    some = rows.take(pa.array(chosen))
    number = pc.add(some["row"], 1).combine_chunks().cast(pa.string())
    places = pc.binary_join_element_wise(pa.array(names).take(some["file"].combine_chunks()), number, "#")
    ids = _as_text(samples.ids[chosen])
    count = len(chosen)
    columns = {
        **{
            name: some[name].cast(pa.string())
            for name in ("dataset", "generator", "family", "source", "category", "split")
        },
        "sample_id": ids,
        "path": some["id"].combine_chunks().fill_null(places) if some["id"].null_count else some["id"],
        "url": pc.binary_join_element_wise(IMPORTED, places, ""),
        "label": some["label"],
        "group": some["group"].combine_chunks().fill_null(ids) if some["group"].null_count else some["group"],
        "format": pa.nulls(count, pa.string()),
        "width": pa.nulls(count, pa.int32()),
        "height": pa.nulls(count, pa.int32()),
        "size_bytes": pa.array(np.zeros(count, dtype=np.int64)),
        "augmentation": augmentation.take(pa.array(samples.number[chosen])),
    }
    table = pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    dataset, datasets = codes(some, "dataset")
    there = sorted(np.unique(dataset).tolist(), key=lambda one: datasets[one])
    return {datasets[one]: validate(table.filter(pa.array(dataset == one))) for one in there}


def feature_sets_of(rows: pa.Table) -> tuple[np.ndarray, list[tuple[str, str, str]]]:
    """Which feature set each row belongs to, (N,), and dataset, augmentation and backbone of each, sorted."""
    parts = [codes(rows, name) for name in ("dataset", "augmentation", "backbone")]
    key = np.zeros(len(rows), dtype=np.int64)
    for code, values in parts:
        key = key * len(values) + code
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    (d, datasets), (t, augmentations), (b, backbones) = parts
    names = [(datasets[d[row]], augmentations[t[row]], backbones[b[row]]) for row in first.tolist()]
    place = {name: index for index, name in enumerate(sorted(names))}
    return np.array([place[name] for name in names], dtype=np.int64)[number], sorted(names)


def _as_text(ids: np.ndarray) -> pa.Array:
    """Ids (N,) of type `S64` as Arrow's texts."""
    data = pa.py_buffer(np.ascontiguousarray(ids))
    return pa.Array.from_buffers(pa.binary(64), len(ids), [None, data]).cast(pa.binary()).cast(pa.string())


def _repeats(key: np.ndarray) -> np.ndarray:
    """(N,) bool, whether a row's key stands in an earlier row."""
    order = np.argsort(key, kind="stable")
    repeated = np.zeros(len(key), dtype=bool)
    repeated[order[1:]] = key[order][1:] == key[order][:-1]
    return repeated


def _only(row: int, count: int) -> np.ndarray:
    mask = np.zeros(count, dtype=bool)
    mask[row] = True
    return mask
