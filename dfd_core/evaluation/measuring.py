"""A detector's stored scores, with the thresholds and calibrators that hold for all its test sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, field_validator

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.bootstrap import BootstrapSpec, Cell
from dfd_core.evaluation.calibration import Calibration, Calibrator, fit_calibration
from dfd_core.evaluation.samples import TEST, VALIDATION, Generator, Samples
from dfd_core.evaluation.scoring import EXCLUDED, OK, summary_of
from dfd_core.evaluation.thresholds import Decision, choose, parse_policy
from dfd_core.specs import Spec

NO_CALIBRATION, ORACLE = "none", "oracle"
UNNAMED = "unnamed"


class EvaluationSpec(Spec):
    """How scores become numbers.

    Attributes:
        thresholds: Threshold policies: a number, `validation`, `fpr_<x>pct`, `oracle`. Each is chosen once for a
            detector and used for every test set; the oracle alone looks at the test set, and is marked.
        calibrations: What is done to scores before they are read as probabilities; fitted on validation samples.
        bootstrap: How intervals are made.
    """

    thresholds: Annotated[tuple[str, ...], Field(min_length=1)] = ("0.5", "validation", ORACLE)
    calibrations: Annotated[tuple[Calibration, ...], Field(min_length=1)] = ("none", "platt")
    bootstrap: BootstrapSpec = BootstrapSpec()

    @field_validator("thresholds")
    @classmethod
    def _are_policies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_policy(text).name for text in value)


@dataclass(frozen=True)
class TestCell:
    """What a detector says of one test set.

    Attributes:
        y: (N,) labels of the samples with a score.
        score: (N,) their scores.
        group: (N,) their groups.
        bootstrap: How intervals are made.
        sources: Where the reals come from, sorted.
        n_failed: Files without a vector.
        n_excluded: Samples that the detector was trained on, or whose group it was.
        problem: Why there can be no number.
    """

    y: np.ndarray
    score: np.ndarray
    group: np.ndarray
    bootstrap: BootstrapSpec
    sources: tuple[str, ...] = ()
    n_failed: int = 0
    n_excluded: int = 0
    problem: str = ""

    @property
    def counts(self) -> tuple[int, int]:
        """Reals and fakes."""
        n_fake = int((self.y == 1).sum())
        return len(self.y) - n_fake, n_fake

    @cached_property
    def cell(self) -> Cell:
        """The metrics with their intervals."""
        return Cell(self.y, self.score, self.group, self.bootstrap)

    def calibrated(self, calibrator: Calibrator | str | None) -> TestCell:
        """The same with calibrated scores, or with the reason why there are none."""
        if calibrator is None:
            return self
        if isinstance(calibrator, str):
            return replace(self, problem=calibrator)
        return replace(self, score=calibrator.apply(self.score))


class ScoredDetector:
    """The scores of one detector.

    Args:
        scores: As `score_detector` gives them.
        samples: The run's samples.
        evaluation: Thresholds and calibrations.

    Attributes:
        summary: What is known of the detector.
        spec: What it was made from.
        decisions: Its thresholds, chosen on validation samples once for all test sets.
        calibrators: Its calibrators by name; the reason why there is none, or `None` where scores stay as they are.

    Raises:
        EvaluationError: Scores are missing for a validation sample.
    """

    def __init__(self, scores: pa.Table, samples: Samples, evaluation: EvaluationSpec) -> None:
        self.summary, self._samples, self._evaluation = summary_of(scores), samples, evaluation
        self.spec = self.summary.spec
        places = ["split", "test_dataset", "test_augmentation"]
        self._parts = {key: part.set_index("sample_id") for key, part in scores.to_pandas().groupby(places)}
        held_out = self.cell(self.spec.members, self.spec.train_augmentation, VALIDATION)
        self.decisions: list[Decision] = []
        self._oracles = []
        for policy in map(parse_policy, evaluation.thresholds):
            if policy.name == ORACLE:
                self._oracles.append(policy)
            else:
                self.decisions.append(choose(policy, held_out.y, held_out.score))
        self.calibrators: dict[str, Calibrator | str | None] = {}
        for name in evaluation.calibrations:
            try:
                fitted = None if name == NO_CALIBRATION else fit_calibration(name, held_out.y, held_out.score)
                self.calibrators[name] = fitted
            except EvaluationError as error:
                self.calibrators[name] = str(error)

    def augmentations(self, dataset: str) -> list[str]:
        """The augmentations that a dataset was scored under, sorted."""
        return sorted(name for split, own, name in self._parts if split == TEST and own == dataset)

    def cell(self, sets: tuple[Generator, ...], augmentation: str, split: str = TEST) -> TestCell:
        """What the detector says of the fakes of some generators and the reals paired with them.

        Raises:
            EvaluationError: A sample has no scores.
        """
        rows, copies = self._samples.members(sets, split, augmentation)
        return self._cell(rows, copies, augmentation, split)

    def reals_by_source(self, dataset: str, augmentation: str) -> Iterator[tuple[str, TestCell]]:
        """Each source of reals in a dataset with what the detector says of them."""
        rows = self._samples.test_rows(dataset, TEST, augmentation)
        reals = rows[rows["label"] == 0]
        for source, part in reals.groupby(reals["source"].fillna(UNNAMED)):
            yield str(source), self._cell(part, np.ones(len(part), dtype=int), augmentation, TEST)

    def oracles(self, cell: TestCell) -> list[Decision]:
        """Thresholds that are chosen on the test set itself."""
        return [choose(policy, cell.y, cell.score) for policy in self._oracles]

    def _cell(self, rows: pd.DataFrame, copies: np.ndarray, augmentation: str, split: str) -> TestCell:
        status, score = np.full(len(rows), "", dtype=object), np.full(len(rows), np.nan)
        datasets = rows["dataset"].to_numpy(dtype=object)
        for dataset in dict.fromkeys(datasets.tolist()):
            own = np.flatnonzero(datasets == dataset)
            ids = pd.Index(rows["sample_id"].to_numpy(dtype=object)[own])
            part = self._parts.get((split, dataset, augmentation))
            places = np.full(len(own), -1) if part is None else part.index.get_indexer(ids)
            if part is None or (places < 0).any():
                raise EvaluationError(
                    f"{int((places < 0).sum())} {split} samples of {dataset} have no scores by {self.spec.name()}, the "
                    f"first {ids[places < 0][0]}. The manifest is newer than the scores: score again."
                )
            status[own], score[own] = part["status"].to_numpy()[places], part["score"].to_numpy()[places]
        good = status == OK
        groups = (rows["dataset"] + "/" + rows["group"]).to_numpy(dtype=object)
        return TestCell(
            y=rows["label"].to_numpy()[good],
            score=score[good],
            group=groups[good],
            bootstrap=self._evaluation.bootstrap,
            sources=tuple(sorted(rows.loc[rows["label"] == 0, "source"].dropna().unique())),
            n_failed=int(copies[~good & (status != EXCLUDED)].sum()),
            n_excluded=int((status == EXCLUDED).sum()),
        )
