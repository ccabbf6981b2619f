"""The cells of a grid, fitted and scored together where they share work.

Detectors with the same training set, backbone and reducer make a bundle: its rows are gathered once, its reducer is
fitted once and transforms every test vector once, and classifiers that share a computation, such as the search for the
nearest neighbours, do it once. Each detector is written as soon as it is fitted, so a bundle that is killed resumes
with what is missing. A cell that fails gets a table of scores that says why, and the others go on.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dfd_core.classifiers.sharing import fit_group, score_group, sharing_groups
from dfd_core.detectors import Detector
from dfd_core.detectors.detector import assemble, check_training_rows, fit_reducer, reduce
from dfd_core.detectors.files import from_bytes, to_bytes
from dfd_core.errors import DfdError, EvaluationError, StoreError
from dfd_core.evaluation.grid import DetectorJob
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.evaluation.samples import Samples
from dfd_core.evaluation.scoring import Part, failed_scores, parts_to_score, scores_table
from dfd_core.evaluation.training import Bank, training_rows
from dfd_core.provenance import provenance
from dfd_core.specs import content_hash
from dfd_core.storage import Store


@dataclass(frozen=True)
class Bench:
    """What all detectors of one backbone share while they are fitted.

    Attributes:
        store: Where scores and detectors go.
        samples: The rows of the manifests.
        bank: The backbone's vectors by dataset and name of augmentation.
        protocol: What trains and what tests.
    """

    store: Store
    samples: Samples
    bank: Bank
    protocol: ProtocolSpec


class Done(NamedTuple):
    """What became of a bundle's cells.

    Attributes:
        scored: How many have scores.
        failed: Name and error of each that has none.
    """

    scored: int
    failed: tuple[tuple[str, str], ...]


class _Rows(NamedTuple):
    """What a bundle is fitted on: the rows as the reducer gives them, labels, notes, and the vectors' own width."""

    reducer: Any
    prepared: np.ndarray
    y: np.ndarray
    notes: tuple[str, ...]
    dimension: int


Bundle = tuple[DetectorJob, ...]
_Fitted = tuple[DetectorJob, Detector]


def bundles(jobs: Sequence[DetectorJob], workers: int) -> list[Bundle]:
    """Jobs that share their training set, backbone and reducer, in parts enough for all workers.

    Args:
        jobs: Of one backbone.
        workers: How many bundles may run at once; without a lack of bundles none is split.
    """
    found: dict[str, list[DetectorJob]] = {}
    for job in jobs:
        found.setdefault(content_hash(job.spec.model_dump(mode="json", exclude={"classifier"})), []).append(job)
    parts = -(-workers // max(len(found), 1))
    split: list[Bundle] = []
    for own in found.values():
        groups = sharing_groups([job.spec.classifier for job in own])
        for first in range(min(parts, len(groups))):
            split.append(tuple(own[index] for group in groups[first::parts] for index in group))
    return split


def sharing_a_reducer(all_bundles: Sequence[Bundle]) -> list[Bundle]:
    """One bundle for each reducer that several bundles need, so that it can be fitted before them."""
    counts = Counter(bundle[0].reducer_path for bundle in all_bundles if bundle[0].spec.reducer.name != "none")
    first = {bundle[0].reducer_path: bundle for bundle in reversed(all_bundles)}
    return [first[path] for path, n in counts.items() if n > 1]


def fit_shared_reducer(bench: Bench, bundle: Bundle) -> str:
    """Fits the reducer of a bundle and writes it, unless it is there; parts of one bundle then only read it."""
    job = bundle[0]
    if not bench.store.exists(job.reducer_path):
        X, y, _ = training_rows(job.spec, bench.samples, bench.bank)
        check_training_rows(job.spec, X, y)
        _fit_reducer(bench, job, X)
    return job.reducer_path


def fit_and_score(bench: Bench, bundle: Bundle) -> Done:
    """Fits the detectors of a bundle, scores all samples with them and writes both.

    Raises:
        StoreError: The store can't be read or written.
    """
    groups = [[bundle[index] for index in group] for group in sharing_groups([job.spec.classifier for job in bundle])]
    failed: dict[str, str] = {}
    scored = 0
    try:
        rows = _rows(bench, bundle[0])
        fitted = [made for made in (_fit(bench, group, rows, failed) for group in groups) if made]
        if fitted:
            scored = _score(bench, fitted, rows.reducer, failed)
    except StoreError:
        raise
    except DfdError as error:  # the rows are wrong, so no cell of the bundle can have a number
        failed, scored = {job.key: str(error) for job in bundle}, 0
    for job in bundle:
        if job.key in failed:
            bench.store.write_table(job.scores_path, failed_scores(job.spec, failed[job.key]), _facts(job))
    return Done(scored, tuple((job.spec.name(), failed[job.key]) for job in bundle if job.key in failed))


def _rows(bench: Bench, job: DetectorJob) -> _Rows:
    spec = job.spec
    X, y, notes = training_rows(spec, bench.samples, bench.bank)
    y = check_training_rows(spec, X, y)
    if spec.reducer.name == "none":
        return _Rows(None, X, y, notes, X.shape[1])
    if bench.store.exists(job.reducer_path):
        reducer = from_bytes(bench.store.read_bytes(job.reducer_path))["reducer"]
    else:
        reducer = _fit_reducer(bench, job, X)
    return _Rows(reducer, reduce(reducer, X), y, notes, X.shape[1])


def _fit(bench: Bench, group: list[DetectorJob], rows: _Rows, failed: dict[str, str]) -> list[_Fitted]:
    """The fitted detectors of jobs that share a computation; those in the store are read."""
    if all(bench.store.exists(job.detector_path) for job in group):
        return [(job, Detector.load(bench.store, job.detector_path)) for job in group]

    def fit(jobs: list[DetectorJob]) -> list[_Fitted]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a solver warns of is a note of its card, or a score that is refused
            models = fit_group([job.spec.classifier for job in jobs], rows.prepared, rows.y, jobs[0].spec.seed)
        made = []
        for job, model in zip(jobs, models, strict=True):
            detector = assemble(job.spec, (rows.reducer, model), rows.prepared, rows.y, rows.notes, rows.dimension)
            detector.save(bench.store, job.detector_path)
            made.append((job, detector))
        return made

    return _each(fit, group, failed)


def _score(bench: Bench, fitted: list[list[_Fitted]], reducer: Any, failed: dict[str, str]) -> int:
    """Scores all samples and writes the scores; how many detectors have them now."""
    found: dict[str, list[tuple[Part, np.ndarray]]] = {job.key: [] for group in fitted for job, _ in group}
    for part in parts_to_score(fitted[0][0][0].spec, bench.bank, bench.samples, bench.protocol):
        fitted[0][0][1].check(part.X)
        reduced = reduce(reducer, part.X)

        def score(some: list[_Fitted], X: np.ndarray = reduced) -> list[tuple[str, np.ndarray]]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                models = [detector.classifier for _, detector in some]
                scores = score_group(models, X) if len(X) else [np.empty(0)] * len(some)
            for (job, _), own in zip(some, scores, strict=True):
                check_scores(job, own)
            return [(job.key, score) for (job, _), score in zip(some, scores, strict=True)]

        for group in fitted:
            for key, scores in _each(score, [one for one in group if one[0].key not in failed], failed):
                found[key].append((part._replace(X=part.X[:0]), scores))
    whole = [(job, detector) for group in fitted for job, detector in group if job.key not in failed]
    for job, detector in whole:
        bench.store.write_table(job.scores_path, scores_table(detector.summary, found[job.key]), _facts(job))
    return len(whole)


def check_scores(job: DetectorJob, score: np.ndarray) -> None:
    """Sees that scores are such.

    Raises:
        EvaluationError: Some are not within [0, 1].
    """
    wrong = ~((score >= 0) & (score <= 1))
    if wrong.any():
        raise EvaluationError(
            f"{job.spec.classifier.label()} gave {int(wrong.sum())} of {len(score)} scores that are not within [0, 1], "
            f"the first {score[wrong][0]}."
        )


def _each(work: Callable[[list[Any]], list[Any]], together: list[Any], failed: dict[str, str]) -> list[Any]:
    """Works on all at once, and where that fails on one after the other, so that one failure is one cell's."""
    if not together:
        return []
    try:
        return work(together)
    except StoreError:
        raise
    except Exception as error:  # whatever a solver raises belongs to its cell
        if len(together) == 1:
            job = together[0] if isinstance(together[0], DetectorJob) else together[0][0]
            failed[job.key] = str(error) if isinstance(error, DfdError) else f"{type(error).__name__}: {error}"
            return []
        return [made for one in together for made in _each(work, [one], failed)]


def _fit_reducer(bench: Bench, job: DetectorJob, X: np.ndarray) -> Any:
    reducer = fit_reducer(job.spec.reducer, X, job.spec.seed)
    bench.store.write_bytes(job.reducer_path, to_bytes({"reducer": reducer}))
    return reducer


def _facts(job: DetectorJob) -> dict[str, Any]:
    return provenance(detector=job.spec.model_dump(mode="json"), key=job.key, fit=job.fit_key)
