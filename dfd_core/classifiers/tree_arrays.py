"""Fitted trees as plain arrays.

scikit-learn follows the indices in its trees without looking whether they are inside, so a tree from a file that others
can write may read any memory. Here numpy looks; and who grew the trees is no longer part of the file's types.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

from dfd_core.classifiers.accelerated import PLAIN, implementation
from dfd_core.classifiers.binary import BinaryClassifier

_Tree = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class TreeClassifier(BinaryClassifier):
    """Fits trees with scikit-learn, keeps them as arrays, and scores like scikit-learn.

    With many training rows and scikit-learn-intelex, forests and bagging are grown by that: from the same distribution
    but with other draws, and with 256 places per column where a question may cut.

    Args:
        estimator: An unfitted tree, forest, bagging of trees, or histogram gradient boosting.

    Attributes:
        children_: (2, V) where a node sends rows that are not larger than its threshold, and those that are;
            leaves send them to themselves.
        feature_: (V,) the column that a node asks for.
        threshold_: (V,) float64.
        value_: (V,) float64: share of the second class; for boosting what a leaf adds.
        roots_: (T + 1,) where each tree begins, and V.
        baseline_: For boosting what leaves add to, else `None`.
        fitted_by_: What grew them.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any) -> Self:
        """Grows the trees on rows (N, D) and their labels (N,).

        Raises:
            ValueError: Not two classes, or values that are not finite.
        """
        X, codes = self._training_rows(X, y, self._dtype)
        model, self.fitted_by_ = self._grown(X, codes)
        boosting = isinstance(model, HistGradientBoostingClassifier)
        self.baseline_ = float(model._baseline_prediction.item()) if boosting else None
        if boosting:
            trees = [_boosted(predictor.nodes) for (predictor,) in model._predictors]
        else:
            trees = [_grown_tree(one) for one in getattr(model, "estimators_", [model])]
        self.roots_ = np.concatenate([[0], np.cumsum([len(tree[0]) for tree in trees], dtype=np.int64)]).astype(
            np.int64
        )
        left, right, self.feature_, self.threshold_, self.value_ = (
            np.concatenate(parts) for parts in zip(*trees, strict=True)
        )
        self.children_ = np.stack([left, right]) + np.repeat(self.roots_[:-1], np.diff(self.roots_))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) float64: for boosting the log of the odds, else the score less one half."""
        raw = self._raw(X)
        return raw if self.baseline_ is not None else raw - 0.5

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, 2) float64: one less the score, and the score."""
        raw = self._raw(X)
        score = expit(raw) if self.baseline_ is not None else raw
        return np.stack([1 - score, score], axis=1)

    @property
    def _dtype(self) -> type:
        return np.float64 if isinstance(self.estimator, HistGradientBoostingClassifier) else np.float32

    def _grown(self, X: np.ndarray, codes: np.ndarray) -> tuple[Any, str]:
        if not isinstance(self.estimator, RandomForestClassifier | BaggingClassifier):
            return clone(self.estimator).fit(X, codes), PLAIN
        fast, fitted_by = implementation("RandomForestClassifier", len(X))
        if fast is None:
            return clone(self.estimator).fit(X, codes), PLAIN
        bagging = isinstance(self.estimator, BaggingClassifier)
        tree = self.estimator.estimator if bagging else self.estimator
        forest = fast(
            n_estimators=self.estimator.n_estimators,
            max_depth=tree.max_depth,
            min_samples_leaf=tree.min_samples_leaf,
            max_features=None if bagging else tree.max_features,
            random_state=self.estimator.random_state,
        )
        return forest.fit(X, codes), fitted_by

    def _raw(self, X: Any) -> np.ndarray:
        """(N,) what the leaves say, summed or on average."""
        rows = self._rows(X, self._dtype)
        total = np.zeros(len(rows)) if self.baseline_ is None else np.full(len(rows), self.baseline_)
        everywhere = np.arange(len(rows))
        for first, end in zip(self.roots_[:-1], self.roots_[1:], strict=True):
            node = np.full(len(rows), first)
            for _ in range(end - first):  # a whole tree is never deeper than it has nodes
                goes_right = rows[everywhere, self.feature_[node]] > self.threshold_[node]
                following = self.children_[goes_right.astype(np.intp), node]
                if np.array_equal(following, node):
                    break
                node = following
            total += self.value_[node]
        return total if self.baseline_ is not None else total / (len(self.roots_) - 1)


def notes(model: TreeClassifier, _X: np.ndarray, _y: np.ndarray) -> tuple[str, ...]:
    """Whether something else than scikit-learn grew the trees."""
    if model.fitted_by_ == PLAIN:
        return ()
    return (f"fitted by {model.fitted_by_}, whose random draws are not scikit-learn's",)


def _grown_tree(model: Any) -> _Tree:
    """One tree of scikit-learn: left, right, feature, threshold, value."""
    tree = model.tree_
    leaf, own = tree.children_left < 0, np.arange(tree.node_count)
    value = np.asarray(tree.value[:, 0, :], dtype=np.float64)
    # one that saw a single class
    share = value[:, 1] if value.shape[1] == 2 else np.full(len(value), float(model.classes_[0]))
    return (
        np.where(leaf, own, tree.children_left),
        np.where(leaf, own, tree.children_right),
        np.where(leaf, 0, tree.feature),
        np.where(leaf, np.inf, tree.threshold),
        share,
    )


def _boosted(nodes: np.ndarray) -> _Tree:
    """One tree of histogram gradient boosting: left, right, feature, threshold, value."""
    leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
    return (
        np.where(leaf, own, nodes["left"].astype(np.int64)),
        np.where(leaf, own, nodes["right"].astype(np.int64)),
        np.where(leaf, 0, nodes["feature_idx"].astype(np.int64)),
        np.where(leaf, np.inf, nodes["num_threshold"]),
        nodes["value"].astype(np.float64),
    )
