"""The sections of a report that are drawn from scores: curves, reliability, histograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from dfd_core.evaluation.matrices import ALL, ORACLE, REALS
from dfd_core.evaluation.samples import TEST, Samples
from dfd_core.plots import Curve, Scores, det, histograms, png, precision_recall, reliability, roc
from dfd_core.reports.overview import clean
from dfd_core.reports.sections import Picture, Section
from dfd_core.reports.selection import OK, Selection
from dfd_core.specs import content_hash, readable_key


class Calibrates(Protocol):
    """What makes a probability of a score."""

    def apply(self, score: np.ndarray) -> np.ndarray:
        """(N,) calibrated scores in [0, 1] of (N,) scores."""


_PAIR = ["test_dataset", "test_generator"]
Calibrators = Mapping[str, Mapping[str, Calibrates]]
"""By detector, then by kind of calibration."""


@dataclass(frozen=True)
class Drawn:
    """One detector of which scores are drawn.

    Attributes:
        name: Its name.
        title: What it is, and what it was trained on.
        rows: Of the tidy frame, its own on unchanged images.
        sets: Labels and scores of each test set, by dataset and generator.
    """

    name: str
    title: str
    rows: pd.DataFrame
    sets: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]

    def ordered(self) -> list[tuple[str, str]]:
        """The test sets, the lowest AUROC first, so that what fails is never cut off."""
        worst = self.rows[self.rows["metric"] == "auroc"].drop_duplicates(_PAIR).set_index(_PAIR)["value"].to_dict()
        return sorted(self.sets, key=lambda pair: (worst.get(pair, 2.0), pair))

    def curves(self) -> list[Curve]:
        """A line for each test set, in this order."""
        several = len({dataset for dataset, _ in self.sets}) > 1
        seen = {(dataset, generator) for dataset, generator, seen in self._pairs() if seen}
        names = {pair: "/".join(pair) if several else pair[1] for pair in self.sets}
        return [Curve(names[pair] + (" (seen)" if pair in seen else ""), *self.sets[pair]) for pair in self.ordered()]

    def unseen(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels and scores of all test sets that were not trained on, one after another."""
        others = [self.sets[pair[:2]] for pair in self._pairs() if not pair[2] and pair[:2] in self.sets]
        empty = (np.empty(0, dtype=np.int64), np.empty(0))
        return tuple(np.concatenate(parts) for parts in zip(empty, *others, strict=True))  # type: ignore[return-value]

    def thresholds(self, pair: tuple[str, str]) -> dict[str, float]:
        """The threshold of each policy on a test set, at raw scores."""
        own = self.rows[(self.rows[_PAIR[0]] == pair[0]) & (self.rows[_PAIR[1]] == pair[1])]
        own = own[own["threshold"].notna()].drop_duplicates("threshold_policy")
        named = own["threshold_policy"].replace({ORACLE: f"{ORACLE} (test set)"})
        return dict(zip(named, own["threshold"], strict=True))

    def _pairs(self) -> Iterator[tuple[str, str, bool]]:
        columns = self.rows[[*_PAIR, "seen"]].drop_duplicates()
        return (row for row in columns.itertuples(index=False, name=None) if row[1] not in (REALS, ALL))


def drawn_detectors(selection: Selection, scores: Mapping[str, pd.DataFrame], samples: Samples) -> list[Drawn]:
    """The detectors of which scores are drawn, with their test sets on unchanged images."""
    found = []
    for key in selection.keys:
        rows = selection.of(key)
        rows = rows[(rows["calibration"] == "none") & (rows["test_augmentation"] == clean(rows))]
        for name, trained_on in selection.detectors(key):
            if name in scores:
                own = rows[rows["detector"] == name]
                title = f"{selection.title(key)} · trained on {trained_on}"
                found.append(Drawn(name, title, own, _test_sets(own, scores[name], samples)))
    return found


def curves_section(drawn: list[Drawn]) -> Section:
    """ROC, precision-recall and DET curves of each detector."""
    kinds = {"roc": (roc, "ROC"), "pr": (precision_recall, "Precision-recall"), "det": (det, "DET")}
    pictures = [
        Picture(_name(kind, one), png(draw(one.curves(), one.title)), f"{title} curves: {one.title}")
        for one in drawn
        for kind, (draw, title) in kinds.items()
    ]
    text = ["A line for each generator beside its own reals; of more than ten, those with the lowest AUROC are drawn."]
    return Section("ROC, precision-recall and DET curves", [*text, _which(drawn)], pictures=pictures)


def reliability_section(drawn: list[Drawn], calibrators: Calibrators) -> Section:
    """Whether scores are probabilities on unseen generators, before and after calibration."""
    pictures = []
    for one in drawn:
        y, score = one.unseen()
        after = [(f"after {kind}", y, found.apply(score)) for kind, found in calibrators.get(one.name, {}).items()]
        lines = [("before calibration", y, score), *after] if after else [("score", y, score)]
        figure = reliability(lines, f"{one.title} · all unseen generators")
        pictures.append(
            Picture(_name("reliability", one), png(figure), f"Reliability on unseen generators: {one.title}")
        )
    text = [
        "Calibrators are fitted on validation samples of the training set, so on unseen generators they may not hold."
    ]
    return Section("Reliability", [*text, _which(drawn)], pictures=pictures)


def histograms_section(drawn: list[Drawn]) -> Section:
    """Scores of each generator and of its reals, with the threshold of each policy."""
    pictures = []
    for one in drawn:
        panels = [Scores(*curve, one.thresholds(at)) for curve, at in zip(one.curves(), one.ordered(), strict=True)]
        pictures.append(Picture(_name("scores", one), png(histograms(panels, one.title)), f"Scores: {one.title}"))
    text = ["Reals are grey. Lines: the thresholds. Of more than ten generators those with the lowest AUROC are drawn."]
    return Section("Scores of each generator", [*text, _which(drawn)], pictures=pictures)


def _test_sets(
    rows: pd.DataFrame, scores: pd.DataFrame, samples: Samples
) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Labels and scores of the samples of each test set that were scored."""
    own = scores[(scores["status"] == OK) & (scores["test_augmentation"] == clean(scores))]
    own = own[own["split"] == TEST] if "split" in own else own
    found = {}
    for pair in rows[_PAIR].drop_duplicates().itertuples(index=False, name=None):
        if pair[1] not in (REALS, ALL):
            members = samples.members(samples.generators(*pair), TEST).rows[["dataset", "sample_id", "label"]]
            part = own.merge(members.rename(columns={"dataset": "test_dataset"}), on=["test_dataset", "sample_id"])
            found[pair] = (part["label"].to_numpy(dtype=np.int64), part["score"].to_numpy(dtype=np.float64))
    return found


def _name(kind: str, one: Drawn) -> str:
    return readable_key(f"{kind}_{one.name}"[:100], content_hash([kind, one.name])) + ".png"


def _which(drawn: list[Drawn]) -> str:
    return f"Unchanged images, {len(drawn)} detectors: of each drawn combination the first training sets by family."
