"""What a report reads of the store while it is drawn: scores and calibrators, each when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from dfd_core.evaluation.calibration import Calibrator
from dfd_core.evaluation.grid import DetectorJob
from dfd_core.evaluation.measuring import EvaluationSpec, ScoredDetector
from dfd_core.evaluation.samples import Samples
from dfd_core.evaluation.scoring import failure_of
from dfd_core.storage import Store


class StoredScores(Mapping[str, pd.DataFrame]):
    """The scores of detectors by their names; those that failed have none.

    Args:
        store: Where they are.
        jobs: The detectors.
    """

    def __init__(self, store: Store, jobs: Sequence[DetectorJob]) -> None:
        self.store = store
        self.paths = {job.spec.name(): job.scores_path for job in jobs}

    def __getitem__(self, name: str) -> pd.DataFrame:
        table = self.store.read_table(self.paths[name])
        if failure_of(table) is not None:
            raise KeyError(name)
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


class StoredCalibrators(Mapping[str, Mapping[str, Calibrator]]):
    """The calibrators of detectors by their names, then by kind; those that could not be fitted are left out.

    Args:
        scores: The detectors' scores.
        samples: The run's samples.
        evaluation: Says which calibrations.
    """

    def __init__(self, scores: StoredScores, samples: Samples, evaluation: EvaluationSpec) -> None:
        self.scores, self.samples, self.evaluation = scores, samples, evaluation

    def __getitem__(self, name: str) -> Mapping[str, Calibrator]:
        table = self.scores.store.read_table(self.scores.paths[name])
        if failure_of(table) is not None:
            return {}
        fitted = ScoredDetector(table, self.samples, self.evaluation).calibrators
        return {kind: one for kind, one in fitted.items() if isinstance(one, Calibrator)}

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)
