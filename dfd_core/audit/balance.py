"""How many files there are of each label, generator and split."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from dfd_core.audit.findings import GENERATED, REAL, UNKNOWN, Count, Finding
from dfd_core.audit.gathering import Evidence
from dfd_core.audit.spec import AuditSpec
from dfd_core.manifests.pairing import reals_of
from dfd_core.wording import counted

_SKEWED = 3.0


def counts(evidence: Evidence) -> Iterator[Count]:
    """A row for each dataset, generator or source of reals, and split."""
    frame = _named(evidence.frame)
    keys = ["dataset", "label", "name", "split"]
    for dataset, label, name, split, n in (
        frame.groupby(keys, sort=True).size().reset_index(name="n").to_numpy().tolist()
    ):
        yield Count(dataset=dataset, generator=name, label=label, split=split, n=n)


def check(evidence: Evidence, spec: AuditSpec) -> Iterator[Finding]:
    """Generators with few files, and classes skewed or missing, as each generator is paired with reals."""
    for dataset, part in _named(evidence.frame).groupby("dataset", sort=True):
        if (part["label"] == UNKNOWN).any():
            yield Finding(
                severity="info", kind="no_labels", where=str(dataset), n=len(part),
                message="Nothing says which of its files are real, so balance and shortcuts can't be told.",
                advice="Put the files into `<generator>/<real|fake>/`, or audit a manifest.",
            )  # fmt: skip
            continue
        yield from _one_dataset(str(dataset), part, spec)


def _one_dataset(dataset: str, frame: pd.DataFrame, spec: AuditSpec) -> Iterator[Finding]:
    n_real, n_fake = int((frame["label"] == REAL).sum()), int((frame["label"] == GENERATED).sum())
    if not n_real or not n_fake:
        missing = "real" if not n_real else "generated"
        yield Finding(
            severity="info", kind="one_class", where=dataset, n=len(frame), message=f"It has no {missing} image.",
            advice="Pair it with images of the other class: `folders:` may list several folders.",
        )  # fmt: skip
        return
    sizes = frame["name"].value_counts()
    small = {str(name): int(n) for name, n in sizes.items() if n < spec.min_per_generator}
    for name, n in sorted(small.items()):
        yield Finding(
            severity="warning", kind="few_files", where=f"{dataset}/{name}", n=n, message=f"Only {counted(n, 'file')}.",
            advice="Numbers on so few have wide intervals: get more, or leave it out.",
        )  # fmt: skip
    without = set()
    for split, part in frame[frame["split"] != ""].groupby("split", sort=True):
        if part["label"].nunique() < 2:
            without.add(str(split))
            only = "generated" if part["label"].iloc[0] == GENERATED else "real"
            yield _lacks_class(dataset, len(part), f"Split {split} has {only} images only.")
    for generator in sorted(set(frame.loc[frame["label"] == GENERATED, "generator"])):
        made = (frame["label"] == GENERATED) & (frame["generator"] == generator)
        pair = frame[made | reals_of(frame, generator)]
        yield from _one_pair(f"{dataset}/{generator}", pair, without, spec)


def _one_pair(where: str, pair: pd.DataFrame, without: set[str], spec: AuditSpec) -> Iterator[Finding]:
    """A generator's images and the reals that it is paired with, whole and in each split that has images of both."""
    sizes = {"": (int((pair["label"] == REAL).sum()), int((pair["label"] == GENERATED).sum()))}
    for split, part in pair[pair["split"] != ""].groupby("split", sort=True):
        n_real, n_fake = int((part["label"] == REAL).sum()), int((part["label"] == GENERATED).sum())
        if not n_real and split not in without:
            yield _lacks_class(where, n_fake, f"Split {split} has none of the reals that it is paired with.")
        elif n_real and n_fake and max(n_real, n_fake) >= spec.min_per_generator:
            sizes[str(split)] = n_real, n_fake
    skewed = {split: pair for split, pair in sizes.items() if max(pair) > _SKEWED * min(pair)}
    if not skewed:
        return
    lines = [
        f"{f'In split {split}, ' if split else ''}{n_real} real and {n_fake} generated images."
        for split, (n_real, n_fake) in skewed.items()
    ]
    yield Finding(
        severity="warning", kind="imbalance", where=where, n=len(pair), message=lines[0], evidence=tuple(lines[1:]),
        advice="Read balanced accuracy or AUROC: plain accuracy is high for a detector that always says one class.",
    )  # fmt: skip


def _lacks_class(where: str, n: int, message: str) -> Finding:
    return Finding(
        severity="error", kind="split_without_class", where=where, n=n, message=message,
        advice="Draw the splits again, or correct the lists.",
    )  # fmt: skip


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    source = "real: " + frame["source"].fillna(frame["dataset"]).astype(str)
    return frame.assign(name=frame["generator"].where(frame["label"] != REAL, source), split=frame["split"].fillna(""))
