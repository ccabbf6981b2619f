"""The same bytes and the same image in several files: within a dataset, and across datasets, splits and labels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfd_core.audit.findings import GENERATED, MOST_EVIDENCE, REAL, UNKNOWN, Finding, Groups, Severity
from dfd_core.audit.gathering import Evidence
from dfd_core.audit.hashing import near_sets
from dfd_core.audit.spec import AuditSpec
from dfd_core.wording import counted

Distance = Callable[[int, int], int] | None
_GROUP = (
    "give each such set one group (by `group_pattern`, or by `groups` with the list that `dfd audit --groups` writes)"
)
_ADVICE = {
    "labels": f"One of the two labels is wrong: remove them. Or one is a reconstruction of the other: {_GROUP}.",
    "splits": f"What was trained on would be tested: {_GROUP}, or remove copies.",
    "datasets": "Don't train on one and test on the other as if they were independent; test samples whose bytes were "
    "trained on are excluded, near duplicates are not.",
    "files": "They count several times: remove copies if that is not meant.",
}
_SEVERITY: dict[str, Severity] = {"labels": "error", "splits": "error", "datasets": "warning", "files": "info"}
_LABELS = {REAL: "real", GENERATED: "generated"}
_TOLD = 4


def check_exact(evidence: Evidence, _: AuditSpec) -> Iterator[Finding]:
    """Files with the same bytes."""
    frame = evidence.frame
    members = frame["sample_id"].where(evidence.ok)  # unreadable files hold nothing that could be the same
    yield from _related(frame, members.factorize()[0], "duplicates", "have the same bytes", None)


def check_near(evidence: Evidence, spec: AuditSpec) -> Iterator[Finding]:
    """Files of different groups with nearly the same perceptual hash; a file that is near to two joins their sets."""
    if evidence.hashes is None:
        return
    sets = np.full(len(evidence.frame), -1)
    sets[evidence.has_hash] = near_sets(evidence.hashes[evidence.has_hash], spec.radius)
    frame = evidence.frame
    by_set = frame.assign(set=sets)[sets >= 0].groupby("set")
    # the same bytes are reported elsewhere, and files of one group are known to belong together and never part
    told = (by_set["sample_id"].nunique() > 1) & ((by_set["group"].nunique() > 1) | (by_set["dataset"].nunique() > 1))
    sets[~np.isin(sets, told.index[told])] = -1
    hashes = evidence.hashes

    def distance(a: int, b: int) -> int:
        return int(np.bitwise_count(hashes[a] ^ hashes[b]).sum())

    yield from _related(frame, sets, "near_duplicates", "show nearly the same image", distance)


class NearGroups(NamedTuple):
    """Near duplicates as groups, which hold within a dataset.

    Attributes:
        table: A row per file with the columns `dataset`, `path` and `group`, the first of the groups that the files
            have now; none where no pixel was decoded.
        elsewhere: How many files are near files of other datasets alone, and so have no group.
    """

    table: pd.DataFrame
    elsewhere: int


def near_groups(evidence: Evidence, spec: AuditSpec) -> NearGroups:
    """The files of each dataset that show nearly the same image as another, with one group for each such set."""
    frame = evidence.frame[["dataset", "path", "group"]][evidence.has_hash]
    if evidence.hashes is None or frame.empty:
        return NearGroups(evidence.frame[["dataset", "path", "group"]].head(0), 0)
    near = frame.assign(set=near_sets(evidence.hashes[evidence.has_hash], spec.radius))
    near = near[near.duplicated("set", keep=False)]
    within = near.duplicated(["dataset", "set"], keep=False)
    table = near[within]
    table = table.assign(group=table.groupby(["dataset", "set"])["group"].transform("min")).drop(columns="set")
    return NearGroups(table, int((~within).sum()))


def groups(evidence: Evidence) -> Iterator[Groups]:
    """How many groups each dataset has."""
    for dataset, part in evidence.frame.groupby("dataset", sort=True):
        sizes = part.groupby("group")["label"].agg(["size", "nunique"])
        yield Groups(
            dataset=str(dataset), files=len(part), groups=len(sizes), largest=int(sizes["size"].max()),
            mixed=int((sizes["nunique"] > 1).sum()),
        )  # fmt: skip


def _related(frame: pd.DataFrame, sets: np.ndarray, kind: str, what: str, distance: Distance) -> Iterator[Finding]:
    """A finding for each way in which sets of files cross a border; each set is reported where it is worst."""
    known = frame["label"].where(frame["label"] != UNKNOWN)
    table = frame.assign(set=sets, row=np.arange(len(frame)), label=known)[sets >= 0]
    table = table[table.duplicated("set", keep=False)]
    if table.empty:
        return
    by_set = table.groupby("set")
    crosses = pd.DataFrame(
        {
            "labels": by_set["label"].nunique() > 1,
            "splits": table.groupby(["set", "dataset"])["split"].nunique().groupby("set").max() > 1,
            "datasets": by_set["dataset"].nunique() > 1,
        }
    )
    crosses["files"] = ~crosses.any(axis=1)
    for border in ("labels", "splits", "datasets", "files"):
        inside = table[table["set"].isin(crosses.index[crosses[border]])]
        for where, part in _by_place(inside):
            yield _finding(part, border, kind, what, where, distance)


def _by_place(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The sets by the datasets that they touch."""
    if table.empty:
        return
    names = table.groupby("set")["dataset"].agg(lambda datasets: " and ".join(sorted(set(datasets))))
    for where, part in table.groupby(table["set"].map(names), sort=True):
        yield str(where), part


def _finding(part: pd.DataFrame, border: str, kind: str, what: str, where: str, distance: Distance) -> Finding:
    count = part["set"].nunique()
    first = (members for _, members in itertools.islice(part.groupby("set", sort=True), MOST_EVIDENCE - 1))
    lines = [_told(members, border, distance) for members in first]
    if count > len(lines):
        lines.append(f"and {count - len(lines)} more sets")
    across = "" if border == "files" else f"_across_{border}"
    related = kind == "near_duplicates" and border == "labels"  # as an image and what a model made of it
    return Finding(
        severity="warning" if related else _SEVERITY[border], kind=f"{kind}{across}", where=where, n=len(part),
        message=f"{len(part)} files in {counted(count, 'set')} {what}{across.replace('_', ' ')}.",
        advice=_ADVICE[border], evidence=tuple(lines),
    )  # fmt: skip


def _told(members: pd.DataFrame, border: str, distance: Distance) -> str:
    """Some files of a set with what sets them apart, one from each side of the border first."""
    sides = {"labels": ["label"], "splits": ["dataset", "split"]}.get(border, ["dataset"])
    repeats = members.duplicated(sides)
    shown = pd.concat([members[~repeats], members[repeats]]).head(_TOLD)
    first = shown["row"].iloc[0]
    named = []
    for row, dataset, path, label, split in zip(
        *(shown[name] for name in ("row", "dataset", "path", "label", "split")), strict=True
    ):
        said = [{"labels": _LABELS.get(label, ""), "splits": split}.get(border, "")]
        apart = distance(first, row) if distance is not None and row != first else None
        said.append("" if apart is None else f"{apart} bits")
        within = ", ".join(filter(None, said))
        named.append(f"{dataset}/{path}" + (f" ({within})" if within else ""))
    more = f" and {len(members) - _TOLD} more" if len(members) > _TOLD else ""
    return " = ".join(named) + more
