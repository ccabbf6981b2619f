"""Whether the detectors that are drawn differ by more than chance: paired tests on the same test samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.comparison import PairedTest, delong, mcnemar
from dfd_core.evaluation.matrices import ALL, REALS
from dfd_core.evaluation.metrics import predict
from dfd_core.evaluation.samples import TEST, Samples
from dfd_core.reports.overview import clean
from dfd_core.reports.sections import Section
from dfd_core.reports.selection import OK, Selection
from dfd_core.reports.tables import Table

THRESHOLD = 0.5
MAX_TRAINING_SETS = 2
LEVEL = 0.05


class _Compared(NamedTuple):
    trained_on: str
    tested_on: str
    pair: str
    auroc: PairedTest
    accuracy: PairedTest


def paired_section(selection: Selection, scores: Mapping[str, pd.DataFrame], samples: Samples) -> Section | None:
    """DeLong's test of AUROC and McNemar's of accuracy between the combinations that are drawn; none for a single one.

    Args:
        selection: What is drawn.
        scores: Tables of scores by detector.
        samples: The run's samples.
    """
    found = list(_compared(selection, scores, samples))
    if not found:
        return None
    p_values = np.array([[one.auroc.p_value, one.accuracy.p_value] for one in found])
    adjusted = holm(p_values.reshape(-1)).reshape(p_values.shape)
    rows = [
        (
            one.trained_on,
            one.tested_on,
            one.pair,
            *_cells(one.auroc, p[0]),
            *_cells(one.accuracy, p[1]),
            str(one.auroc.n),
        )
        for one, p in zip(found, adjusted, strict=True)
    ]
    letters = [f"{name} = {selection.title(key)}" for name, key in zip("ABC", selection.keys, strict=False)]
    header = ("trained on", "tested on", "difference", "AUROC", "p", f"accuracy at {THRESHOLD}", "p", "n")
    text = [
        f"{'; '.join(letters)}. Differences in points of percent, of the same test samples without augmentation. AUROC "
        "by DeLong's test, accuracy by McNemar's. Values of p are two-sided and adjusted for all tests of this table "
        f"(Holm); {int((adjusted < LEVEL).sum())} of {adjusted.size} are below {LEVEL}. Both tests take samples for "
        f"independent. The first {MAX_TRAINING_SETS} training sets are compared.",
    ]
    table = Table(header, tuple(rows), "Paired tests between the combinations that are drawn", name="paired-tests")
    return Section("Do they differ by more than chance?", text, [table], folded=True)


def holm(p_values: np.ndarray) -> np.ndarray:
    """(N,) values of p adjusted for N tests (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _compared(selection: Selection, scores: Mapping[str, pd.DataFrame], samples: Samples) -> Iterator[_Compared]:
    by_letter = [_detectors(selection, key) for key in selection.keys]
    if len(by_letter) < 2:
        return
    for trained_on in [place for place in by_letter[0] if all(place in own for own in by_letter)][:MAX_TRAINING_SETS]:
        names = [own[trained_on] for own in by_letter]
        tables = [_tested(scores[name]) if name in scores else None for name in names]
        rows = selection.of(selection.keys[0])
        own = rows[rows["detector"] == names[0]][["test_dataset", "test_generator"]].drop_duplicates()
        for test in own.itertuples(index=False, name=None):
            if test[1] in (REALS, ALL):
                continue
            for (a, left), (b, right) in combinations(enumerate(tables), 2):
                if left is not None and right is not None and (tests := _tests(test, left, right, samples)):
                    yield _Compared("/".join(trained_on[1:]), "/".join(test), f"{'ABC'[a]} - {'ABC'[b]}", *tests)


def _detectors(selection: Selection, key: tuple[object, ...]) -> dict[tuple[str, str, str], str]:
    columns = ["protocol", "train_dataset", "train_generator"]
    found = selection.of(key)[[*columns, "detector"]].drop_duplicates().sort_values(columns)
    return {(protocol, d, g): detector for protocol, d, g, detector in found.itertuples(index=False, name=None)}


def _tested(scores: pd.DataFrame) -> pd.DataFrame:
    own = scores[(scores["split"] == TEST) & (scores["status"] == OK) & (scores["test_augmentation"] == clean(scores))]
    return own.set_index(["test_dataset", "sample_id"])["score"].to_frame()


def _tests(
    test: tuple[str, str], left: pd.DataFrame, right: pd.DataFrame, samples: Samples
) -> tuple[PairedTest, PairedTest] | None:
    """Both tests on the samples that both detectors scored; nothing where there are too few."""
    rows = samples.members(samples.generators(*test), TEST).rows
    both = rows.set_index(["dataset", "sample_id"])[["label"]]
    both.index.names = ["test_dataset", "sample_id"]
    both = both.join(left.rename(columns={"score": "a"}), how="inner").join(
        right.rename(columns={"score": "b"}), how="inner"
    )
    y, a, b = (both[name].to_numpy() for name in ("label", "a", "b"))
    try:
        return delong(y, a, b), mcnemar(y, predict(a, THRESHOLD), predict(b, THRESHOLD))
    except EvaluationError:
        return None


def _cells(test: PairedTest, p_value: float) -> tuple[str, str]:
    difference = f"{100 * test.difference:+.1f} [{100 * test.low:+.1f}, {100 * test.high:+.1f}]"
    return difference, "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
