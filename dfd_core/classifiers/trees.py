"""Decision trees and ensembles of them: a new one is one entry here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dfd_core.classifiers.registry import ClassifierCard, notes_of
from dfd_core.specs import Spec

Count = Annotated[int, Field(ge=1)]


class TreeOptions(Spec):
    """Options of `decision_tree`.

    Attributes:
        max_depth: Most questions on the way to a leaf; without a limit leaves hold one class only.
        min_samples_leaf: Fewest training rows in a leaf.
    """

    max_depth: Count | None = None
    min_samples_leaf: Count = 1


class ForestOptions(TreeOptions):
    """Options of `random_forest`.

    Attributes:
        n_estimators: How many trees.
    """

    n_estimators: Count = 100


class BaggingOptions(TreeOptions):
    """Options of `bagging`.

    Attributes:
        n_estimators: How many trees.
    """

    n_estimators: Count = 10


class BoostingOptions(Spec):
    """Options of `gradient_boosting`.

    Attributes:
        max_iter: Most trees; above 10,000 training rows a tenth of them say when to stop earlier.
        learning_rate: How much each tree counts.
        max_leaf_nodes: Most leaves of a tree.
    """

    max_iter: Count = 100
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.1
    max_leaf_nodes: Annotated[int, Field(ge=2)] = 31


def _decision_tree(options: TreeOptions, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    from dfd_core.classifiers.tree_arrays import TreeClassifier

    return TreeClassifier(DecisionTreeClassifier(**options.model_dump(), random_state=seed))


def _random_forest(options: ForestOptions, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    from dfd_core.classifiers.tree_arrays import TreeClassifier

    return TreeClassifier(RandomForestClassifier(**options.model_dump(), random_state=seed))


def _bagging(options: BaggingOptions, seed: int) -> Any:
    from sklearn.ensemble import BaggingClassifier
    from sklearn.tree import DecisionTreeClassifier

    from dfd_core.classifiers.tree_arrays import TreeClassifier

    tree = DecisionTreeClassifier(max_depth=options.max_depth, min_samples_leaf=options.min_samples_leaf)
    return TreeClassifier(BaggingClassifier(tree, n_estimators=options.n_estimators, random_state=seed))


def _gradient_boosting(options: BoostingOptions, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    from dfd_core.classifiers.tree_arrays import TreeClassifier

    return TreeClassifier(HistGradientBoostingClassifier(**options.model_dump(), random_state=seed))


_TRUSTED = ("dfd_core.classifiers.tree_arrays.TreeClassifier",)
_NOTES = notes_of("tree_arrays")

ENTRIES = {
    "decision_tree": ClassifierCard(
        "one decision tree", TreeOptions, _decision_tree, dtype="float32", notes=_NOTES, trusted=_TRUSTED
    ),
    "random_forest": ClassifierCard(
        "trees on resampled rows, with a few columns to choose from at each question",
        ForestOptions,
        _random_forest,
        dtype="float32",
        notes=_NOTES,
        trusted=_TRUSTED,
    ),
    "bagging": ClassifierCard(
        "trees on resampled rows, with all columns", BaggingOptions, _bagging, dtype="float32", notes=_NOTES,
        trusted=_TRUSTED,
    ),
    "gradient_boosting": ClassifierCard(
        "histogram gradient boosting: trees that correct those before them",
        BoostingOptions,
        _gradient_boosting,
        dtype="float64",
        notes=_NOTES,
        trusted=_TRUSTED,
    ),
}  # fmt: skip
