"""What our own classifiers have in common: two classes, the second of them the fakes'."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data


class BinaryClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier with a decision function that is positive for the second class.

    Attributes:
        classes_: (2,) the labels, sorted.
        n_features_in_: D.
    """

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) float64, positive for the second class."""
        raise NotImplementedError

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, 2) float64: one less the score, and the score, which is the logistic sigmoid of the decision.

        It is monotone in the decision and 0.5 where that is 0, but no calibrated probability.
        """
        score = expit(self.decision_function(X))
        return np.stack([1 - score, score], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """(N,) labels; the first class where the decision is 0."""
        second = self.decision_function(X) > 0
        return np.asarray(self.classes_[second.astype(int)])

    def _training_rows(self, X: Any, y: Any, dtype: type) -> tuple[np.ndarray, np.ndarray]:
        """Checks and keeps what `fit` was given: rows (N, D), and (N,) 0 for the first class and 1 for the second.

        Raises:
            ValueError: Not two classes, or values that are not finite.
        """
        X, y = validate_data(self, X, y, dtype=dtype)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            plural = "class" if len(self.classes_) == 1 else "classes"
            raise ValueError(f"Only binary classification is supported: y has {len(self.classes_)} {plural}, not 2.")
        return X, codes

    def _rows(self, X: Any, dtype: type) -> np.ndarray:
        """(N, D) what is to be scored, checked."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=dtype, reset=False))

    def __sklearn_tags__(self) -> Any:
        """Two classes only."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
