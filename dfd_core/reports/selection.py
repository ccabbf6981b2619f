"""Which of many detectors are drawn: chosen on validation samples, never on what they reach in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_core.evaluation.matrices import group_order, group_title
from dfd_core.reports.shortcuts import is_probe

DRAWN = 3
"""Combinations of backbone, reducer and classifier of which pictures are drawn."""
WITH_SCORES = (2, 1, 1)
"""Detectors of which curves, reliability and histograms are drawn, for each of these combinations."""
KEY = ["backbone", "reducer", "classifier", "seed", "shuffled_labels", "train_augmentation"]
VALIDATION, OK = "validation", "ok"


@dataclass(frozen=True)
class Selection:
    """What is drawn.

    Attributes:
        rows: Of the tidy frame, those of the chosen combinations.
        probes: Those of the metadata probes, which stand beside them.
        keys: Their columns `KEY`, the best first.
        how: How they were chosen, a sentence.
    """

    rows: pd.DataFrame
    probes: pd.DataFrame
    keys: tuple[tuple[object, ...], ...]
    how: str

    def with_probes(self) -> pd.DataFrame:
        """The rows of the chosen combinations and of the metadata probes."""
        return pd.concat([self.rows, self.probes[~self.probes.index.isin(self.rows.index)]])

    def of(self, key: tuple[object, ...]) -> pd.DataFrame:
        """The rows of one of the chosen combinations."""
        return self.rows[matches(self.rows, key)]

    def title(self, key: tuple[object, ...]) -> str:
        """A chosen combination in a line."""
        told = dict(zip(KEY, map(str, key), strict=True))
        return group_title(
            {name: text for name, text in told.items() if (name, text) != ("train_augmentation", "none")}
        )

    def detectors(self, key: tuple[object, ...]) -> list[tuple[str, str]]:
        """Name and training set of the first detectors of a combination."""
        columns = ["train_family", "train_dataset", "train_generator", "protocol", "detector"]
        found = self.of(key)[columns].drop_duplicates().sort_values(columns)
        several = found["train_dataset"].nunique() > 1
        return [
            (detector, f"{dataset}/{generator}" if several else generator)
            for _, dataset, generator, _, detector in found.head(WITH_SCORES[self.keys.index(key)]).itertuples(
                index=False
            )
        ]


def select(frame: pd.DataFrame, scores: Mapping[str, pd.DataFrame], manifests: pd.DataFrame) -> Selection:
    """Chooses the combinations that are drawn.

    Args:
        frame: Tidy rows of all detectors.
        scores: By detector, read once each.
        manifests: Rows of the manifests, for the labels.

    Returns:
        All combinations where there are few, else those with the best mean balanced accuracy at threshold 0.5 on the
        validation samples of their training sets; without such samples the first by name. Metadata probes and controls
        with shuffled labels are left out, unless there is nothing else.
    """
    honest = frame[~is_probe(frame["backbone"]) & ~frame["shuffled_labels"].astype(bool)]
    pool = honest if len(honest) else frame
    probes = frame[is_probe(frame["backbone"]) & ~frame["shuffled_labels"].astype(bool)]
    left_out = " Metadata probes and controls with shuffled labels are left out." if len(pool) < len(frame) else ""
    keys = sorted(
        pool[KEY].drop_duplicates().itertuples(index=False, name=None), key=lambda k: group_order(tuple(map(str, k)))
    )
    if len(keys) <= DRAWN:
        how = f"Drawn: {'all' if len(keys) > 1 else 'the only'} {len(keys)} of the combinations."
        return _selection(pool, probes, keys, how + left_out)
    reached = _on_validation(pool, scores, manifests)
    measured = [key for key in keys if np.isfinite(reached.get(key, np.nan))]
    if measured:
        chosen = sorted(measured, key=lambda key: -reached[key])[:DRAWN]
        how = (
            f"Drawn: the {len(chosen)} of {len(keys)} combinations with the best mean balanced accuracy (threshold "
            "0.5) on validation samples of their own training sets, so not chosen by any test result."
        )
    else:
        chosen = keys[:DRAWN]
        how = f"Drawn: the first {DRAWN} of {len(keys)} combinations by name; no validation samples to choose them by."
    return _selection(pool, probes, chosen, how + left_out)


def _selection(pool: pd.DataFrame, probes: pd.DataFrame, keys: list[tuple[object, ...]], how: str) -> Selection:
    chosen = np.zeros(len(pool), dtype=bool)
    for key in keys:
        chosen |= matches(pool, key)
    return Selection(pool[chosen], probes, tuple(keys), how)


def matches(frame: pd.DataFrame, key: tuple[object, ...]) -> np.ndarray:
    """(N,) bool: which rows of a tidy frame are of a combination."""
    matching = np.ones(len(frame), dtype=bool)
    for column, value in zip(KEY, key, strict=True):
        matching &= (frame[column] == value).to_numpy()
    return matching


def _on_validation(
    frame: pd.DataFrame, scores: Mapping[str, pd.DataFrame], manifests: pd.DataFrame
) -> dict[tuple[object, ...], float]:
    """Mean balanced accuracy of each combination over its detectors."""
    labels = manifests.drop_duplicates("sample_id").set_index("sample_id")["label"]
    found: dict[tuple[object, ...], list[float]] = {}
    for *key, detector in frame[[*KEY, "detector"]].drop_duplicates().itertuples(index=False, name=None):
        if detector in scores:
            own = scores[detector]
            own = own[(own["split"] == VALIDATION) & (own["status"] == OK)] if "split" in own else own.iloc[:0]
            y = labels.reindex(own["sample_id"]).to_numpy()
            called = own["score"].to_numpy() > 0.5
            if 0 < np.nansum(y) < len(y):
                found.setdefault(tuple(key), []).append((called[y == 1].mean() + (~called[y == 0]).mean()) / 2)
    return {key: float(np.mean(values)) for key, values in found.items()}
