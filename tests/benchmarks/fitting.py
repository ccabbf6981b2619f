"""Fitting a grid of classifiers, reducers and augmentations, against each cell by itself with plain scikit-learn.

Ours fits each reducer once, searches neighbours once for all k, gives small fits one thread, and takes
scikit-learn-intelex where it is installed and there are many rows. CPU-seconds of this process, threads included; both
score the test rows. The plain cells use scikit-learn's classes with the same hyperparameters and its own threads,
fitted anew with the same regularisation where QDA finds a singular covariance; scikit-learn has no autoencoder, so ours
is fitted anew in each cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from dfd_core.classifiers import CLASSIFIERS, ClassifierSpec
from dfd_core.classifiers.sharing import fit_group, score_group, sharing_groups
from dfd_core.classifiers.threads import threads_for
from dfd_core.reducers import REDUCERS, ReducerSpec
from dfd_core.throughput import Measurement

FEATURES = Path(__file__).resolve().parents[3] / "shared" / "data" / "reference_features"
AUGMENTATIONS = ("none", "blur", "jitter", "blur+jitter")
REDUCERS_MEASURED = ("none", "pca", "autoencoder")
SEED = 0
PLAIN: Mapping[str, Callable[[], Any]] = {
    "logistic_regression": lambda: LogisticRegression(tol=1e-8, max_iter=5000),
    "svm_rbf": SVC,
    "lda": LinearDiscriminantAnalysis,
    "qda": QuadraticDiscriminantAnalysis,
    "knn(k=1)": lambda: KNeighborsClassifier(1, algorithm="brute"),
    "knn(k=3)": lambda: KNeighborsClassifier(3, algorithm="brute"),
    "knn": lambda: KNeighborsClassifier(5, algorithm="brute"),
    "naive_bayes": GaussianNB,
    "decision_tree": lambda: DecisionTreeClassifier(random_state=SEED),
    "random_forest": lambda: RandomForestClassifier(random_state=SEED),
    "bagging": lambda: BaggingClassifier(random_state=SEED),
    "gradient_boosting": lambda: HistGradientBoostingClassifier(random_state=SEED),
}
SPECS = [
    ClassifierSpec(name=name.partition("(")[0], options={"k": int(name[-2])} if "(" in name else {}) for name in PLAIN
]


class Split(NamedTuple):
    """Training rows X (N, D) and y (N,), and test rows."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class Grid(NamedTuple):
    """CPU-seconds and accuracies of cells, by (augmentation, reducer, classifier)."""

    seconds: dict[tuple[str, str, str], float]
    accuracy: dict[tuple[str, str, str], float]


def reference_splits() -> dict[str, Split]:
    """The reference features, by the augmentation of the training rows."""
    table = pq.read_table(FEATURES / "clip_b16_laion_ldm100.parquet")
    X = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(table.num_rows, -1)
    rows = table.drop_columns(["embedding"]).to_pandas()
    y, test = rows["label"].to_numpy().astype(np.int64), (rows["split"] == "test").to_numpy()
    found = {}
    for augmentation in AUGMENTATIONS:
        train = ((rows["split"] == "train") & (rows["transform"] == augmentation)).to_numpy()
        found[augmentation] = Split(X[train], y[train], X[test], y[test])
    return found


def large_split(n: int = 20_000, d: int = 768) -> Split:
    """Two mixtures of four normal distributions with a spectrum like that of features; they overlap."""
    generator = np.random.default_rng(0)
    rotation = np.linalg.qr(generator.normal(size=(d, d)))[0]
    scale = np.arange(1, d + 1) ** -0.5
    centres = 1.1 * generator.normal(size=(2, 4, d)) * scale * (np.arange(d) < 60) + 2
    drawn = []
    for count in (n, n // 5):
        y = np.arange(count) % 2
        which = generator.integers(4, size=count)
        rows = centres[y, which] + generator.normal(size=(count, d)) * scale
        drawn += [(rows @ rotation).astype(np.float32), y]
    return Split(*drawn)


def plain_cells(name: str, split: Split, reducers: tuple[str, ...]) -> Grid:
    """Each cell by itself."""
    seconds, accuracy = {}, {}
    for reducer in reducers:
        for label, make in PLAIN.items():
            started = time.process_time()
            X, X_test = _reduced(reducer, split)
            try:
                model = make().fit(X, split.y)
            except np.linalg.LinAlgError:
                model = QuadraticDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(X, split.y)
            accuracy[name, reducer, label] = float(np.mean(model.predict(X_test) == split.y_test))
            seconds[name, reducer, label] = time.process_time() - started
    return Grid(seconds, accuracy)


def our_cells(name: str, split: Split, reducers: tuple[str, ...]) -> Grid:
    """What is shared is counted with the first cell that needs it."""
    seconds, accuracy = {}, {}
    for reducer in reducers:
        started = time.process_time()
        with threads_for(len(split.X)):
            X, X_test = _reduced(reducer, split)
        for group in sharing_groups(SPECS):
            models = fit_group([SPECS[position] for position in group], X, split.y, SEED)
            for position, model, score in zip(group, models, score_group(models, X_test), strict=True):
                with threads_for(len(X)):
                    CLASSIFIERS[SPECS[position].name].notes(model, X, split.y)
                label = SPECS[position].label()
                accuracy[name, reducer, label] = float(np.mean((score > 0.5) == split.y_test))
                seconds[name, reducer, label] = time.process_time() - started
                started = time.process_time()
    return Grid(seconds, accuracy)


def measure() -> Iterator[Measurement]:
    """The grid on the reference features, where they are present, and one on 20,000 x 768."""
    _warm_up()
    if FEATURES.is_dir():
        yield _compared("12 x 3 x 4 cells, reference features", reference_splits(), REDUCERS_MEASURED, goal=2.0)
    yield _compared("12 classifiers, 20,000 x 768", {"large": large_split()}, ("none",), goal=4.0)


def _compared(name: str, splits: Mapping[str, Split], reducers: tuple[str, ...], goal: float) -> Measurement:
    reference, ours = Grid({}, {}), Grid({}, {})
    for augmentation, split in splits.items():
        for whole, cells in ((reference, plain_cells), (ours, our_cells)):
            part = cells(augmentation, split, reducers)
            whole.seconds.update(part.seconds)
            whole.accuracy.update(part.accuracy)
    total, mine = sum(reference.seconds.values()), sum(ours.seconds.values())
    differing = {
        "/".join(cell): [value, ours.accuracy[cell]]
        for cell, value in reference.accuracy.items()
        if value != ours.accuracy[cell]
    }
    details = {
        "cells": len(reference.accuracy),
        "accuracies_that_differ": differing,
        "reference_by_classifier": _by_classifier(reference),
        "ours_by_classifier": _by_classifier(ours),
    }
    return Measurement(f"fitting {name} (CPU s)", total, mine, total / mine, goal, details=details)


def _by_classifier(grid: Grid) -> dict[str, float]:
    return {label: sum(s for cell, s in grid.seconds.items() if cell[2] == label) for label in PLAIN}


def _reduced(name: str, split: Split) -> tuple[np.ndarray, np.ndarray]:
    reducer = REDUCERS[name].build(ReducerSpec(name=name).parsed_options(), SEED)
    if reducer is None:
        return split.X.astype(np.float64), split.X_test.astype(np.float64)
    reducer.fit(split.X.astype(np.float64))
    return reducer.transform(split.X.astype(np.float64)), reducer.transform(split.X_test.astype(np.float64))


def _warm_up() -> None:
    """Imports are no part of a fit."""
    X = np.random.default_rng(0).normal(size=(6000, 4))
    small = Split(X, np.arange(6000) % 2, X[:50], np.arange(50) % 2)
    our_cells("warm", small, REDUCERS_MEASURED)


if __name__ == "__main__":
    for one in measure():
        print(one.as_json(), flush=True)
