"""What a hierarchy is worth: level by level, end to end, and on generators that it never saw.

What counts as right is told by `hierarchy_truth`. Scopes:

- `level`: one decision by itself, given the truth above it: families on all generated samples, generators on the
  samples of families that were trained on, asked of their own family's decision. Reals stand in the first level only.
- `end_to_end`: the route as the hierarchy takes it. An answer is right if it is so at this level and at all above. All
  samples have a part in it.

Generators are `seen` or `unseen` by their own name, before merging; reals stand with the seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dfd_core.detectors.hierarchy import Hierarchy, HierarchyPrediction, HierarchySummary
from dfd_core.detectors.hierarchy_rows import HierarchyRows
from dfd_core.detectors.hierarchy_spec import LEVELS, UNKNOWN, HierarchySpec, Level
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.hierarchy_confusion import Confusion, count
from dfd_core.evaluation.hierarchy_measures import Answers, Resampling, measure
from dfd_core.evaluation.hierarchy_truth import Truth, answers_at, truths
from dfd_core.provenance import provenance
from dfd_core.storage import Store

HIERARCHY_SCHEMA = pa.schema(
    [
        ("hierarchy", pa.string()),
        ("test", pa.string()),
        ("level", pa.string()),
        ("scope", pa.string()),
        ("generators", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("n", pa.int64()),
        ("note", pa.string()),
    ]
)


@dataclass(frozen=True)
class HierarchyResult:
    """A fitted hierarchy with everything that was measured of it.

    Attributes:
        hierarchy: It.
        table: A row for each test, level, scope, seen or unseen generators, and metric.
        predictions: A row for each test sample: what was said of it at each level, with which score.
        confusions: For each test a matrix for each level.
    """

    hierarchy: Hierarchy
    table: pa.Table
    predictions: pa.Table
    confusions: tuple[Confusion, ...]

    @property
    def summary(self) -> HierarchySummary:
        """What is known of the hierarchy."""
        return self.hierarchy.summary_

    def save(self, store: Store, folder: str) -> str:
        """Writes hierarchy.skops, predictions.parquet, confusions.json and, last, results.parquet.

        Returns:
            The address of results.parquet.
        """
        facts = provenance(hierarchy=self.summary.spec.model_dump(mode="json"))
        self.hierarchy.save(store, f"{folder}/hierarchy.skops")
        store.write_table(f"{folder}/predictions.parquet", self.predictions, facts)
        store.write_json(f"{folder}/confusions.json", [one.as_json() for one in self.confusions])
        return store.write_table(f"{folder}/results.parquet", self.table, facts)

    @classmethod
    def load(cls, store: Store, folder: str) -> HierarchyResult:
        """Reads what `save` wrote.

        Raises:
            StoreError: A file is missing or is none of these.
        """
        return cls(
            Hierarchy.load(store, f"{folder}/hierarchy.skops"),
            store.read_table(f"{folder}/results.parquet"),
            store.read_table(f"{folder}/predictions.parquet"),
            tuple(Confusion.from_json(one) for one in store.read_json(f"{folder}/confusions.json")),
        )


def fit_and_evaluate_hierarchy(
    spec: HierarchySpec,
    train: HierarchyRows,
    tests: Mapping[str, HierarchyRows],
    resampling: Resampling | None = None,
) -> HierarchyResult:
    """Fits a hierarchy and measures it on every test set; the order of rows changes nothing.

    Args:
        spec: The hierarchy.
        train: Its training rows.
        tests: Test sets by name; they share neither samples nor groups with the training rows.
        resampling: How intervals are made; without it there are none.

    Raises:
        EvaluationError: Rows that can't be trained on or tested, or subfamilies that don't fit them.
    """
    train = train.in_order(f"the training rows of {spec.name}")
    hierarchy = Hierarchy(spec).fit(train.X, train.label, train.family, train.generator, train.group)
    for name, rows in tests.items():
        for what, known, asked in (("samples", train.sample_id, rows.sample_id), ("groups", train.group, rows.group)):
            both = sorted(set(known.tolist()) & set(asked.tolist()), key=str)
            if both:
                raise EvaluationError(
                    f"{len(both)} {what} of the test {name} are among the training rows of {spec.name}, the first "
                    f"{both[0]}. Leave them out of the test."
                )
    return evaluate_hierarchy(hierarchy, tests, resampling)


def evaluate_hierarchy(
    hierarchy: Hierarchy, tests: Mapping[str, HierarchyRows], resampling: Resampling | None = None
) -> HierarchyResult:
    """Measures a fitted hierarchy on test sets by name.

    Raises:
        EvaluationError: There is no test set, or one that can't be used.
    """
    name = hierarchy.spec.name
    if not tests:
        raise EvaluationError(f"There is no test set for {name}.")
    parts: list[dict[str, Any]] = []
    predictions, confusions = [], []
    for test, unordered in tests.items():
        rows = unordered.in_order(f"the test {test} of {name}")
        if not len(rows.X):
            raise EvaluationError(f"The test {test} of {name} has no rows.")
        truth, prediction = truths(hierarchy.summary_, rows), hierarchy.predict(rows.X)
        head = {"hierarchy": name, "test": test}
        parts += [head | part for part in _measured(hierarchy, rows, truth, prediction, resampling)]
        predictions.append(_predictions(test, rows, prediction))
        for level in LEVELS:
            known = answers_at(hierarchy.summary_, level)
            confusions.append(count((name, test, level), truth[level], prediction.label[level], known))
    table = pa.Table.from_pylist(parts, schema=HIERARCHY_SCHEMA)
    return HierarchyResult(hierarchy, table, pa.concat_tables(predictions), tuple(confusions))


def _measured(
    hierarchy: Hierarchy,
    rows: HierarchyRows,
    truth: Mapping[Level, list[Truth]],
    prediction: HierarchyPrediction,
    resampling: Resampling | None,
) -> Iterator[dict[str, Any]]:
    """The rows of the table for one test set."""
    draws = None if resampling is None else resampling.draws(rows.label, rows.group)
    level = 0.0 if resampling is None else resampling.level
    for key, answers in _cells(hierarchy, rows, truth, prediction):
        note = _note(hierarchy.summary_, key["level"], answers)
        yield from ({**key, "note": note, **one._asdict()} for one in measure(answers, draws, level))


def _cells(
    hierarchy: Hierarchy, rows: HierarchyRows, truth: Mapping[Level, list[Truth]], prediction: HierarchyPrediction
) -> Iterator[tuple[dict[str, str], Answers]]:
    """What the rows of the table are made of, and what they are called."""
    seen = np.array([one.seen for one in truth["generator"]])
    route = np.ones(len(rows.X), dtype=bool)
    for level in LEVELS:
        wanted = np.array([one.right for one in truth[level]], dtype=object)
        kinds = np.array([one.name for one in truth[level]])
        route = route & (prediction.label[level] == wanted)
        places, said = _given_the_parent(hierarchy, level, rows, prediction)
        alone = (places, said, said == wanted[places])
        whole = (np.arange(len(rows.X)), prediction.label[level], route)
        for scope, (among, said, right) in (("level", alone), ("end_to_end", whole)):
            for generators, chosen in (("seen", seen[among]), ("unseen", ~seen[among])):
                own = among[chosen]
                answers = Answers(own, right[chosen], said[chosen] == UNKNOWN, kinds[own])
                yield {"level": level, "scope": scope, "generators": generators}, answers


def _given_the_parent(
    hierarchy: Hierarchy, level: Level, rows: HierarchyRows, prediction: HierarchyPrediction
) -> tuple[np.ndarray, np.ndarray]:
    """Places (n,) of the samples whose true parent has a decision at this level, and its answers (n,)."""
    if level == "real":
        return np.arange(len(rows.X)), prediction.label["real"]
    fake = np.flatnonzero(rows.label == 1)
    if level == "family":
        return fake, hierarchy.decide(rows.X[fake], "family")[0]
    places, answers = [fake[:0]], [np.empty(0, dtype=object)]
    for family in sorted(set(hierarchy.summary_.families.values())):
        own = fake[rows.family[fake] == family]
        places.append(own)
        answers.append(hierarchy.decide(rows.X[own], "generator", family)[0])
    return np.concatenate(places), np.concatenate(answers)


def _note(summary: HierarchySummary, level: str, answers: Answers) -> str:
    notes = [note for node in summary.nodes if node.level == level for note in node.notes]
    return "; ".join(notes if len(answers.places) else [*notes, "the test has no such samples"])


def _predictions(test: str, rows: HierarchyRows, prediction: HierarchyPrediction) -> pa.Table:
    columns: dict[str, Any] = {
        "test": [test] * len(rows.X),
        "sample_id": rows.sample_id.tolist(),
        "score": prediction.generated,
    }
    for level in LEVELS:
        columns[level] = prediction.label[level].tolist()
        columns[f"{level}_score"] = pa.array(prediction.score[level], from_pandas=True)  # not asked: null
    return pa.table(columns)
