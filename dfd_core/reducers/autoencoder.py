"""An autoencoder on vectors: what its hidden layer says is what the classifier gets."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from dfd_core.reducers.descent import Descent, dense_layer, descend


class Autoencoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardised columns -> hidden layer of ReLU -> the columns again; mean squared error, Adam.

    Args:
        hidden: Width of the hidden layer, and of what comes out.
        epochs: How often each training row is seen.
        batch_size: Rows of a step.
        learning_rate: Adam's.
        random_state: Seeds the first weights and the order of rows.

    Attributes:
        mean_: (D,) float64 of the training rows.
        scale_: (D,) float64 standard deviations; 1 where a column is constant.
        weights_: (hidden, D) float32 of the hidden layer.
        bias_: (hidden,) float32.
        loss_: Mean squared error over the standardised training rows at the end; 1 would be no knowledge at all.
    """

    def __init__(
        self,
        hidden: int = 128,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Trains on rows (N, D); labels are not looked at.

        Raises:
            ValueError: Values that are not finite.
        """
        import torch
        from torch.nn.functional import linear, mse_loss, relu

        X = validate_data(self, X, dtype=np.float64)
        spread = X.std(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(spread > 0, spread, 1.0)
        plan = Descent(self.epochs, self.batch_size, self.learning_rate, self.random_state)
        draws = plan.draws()
        encoder = dense_layer(X.shape[1], self.hidden, draws)
        decoder = dense_layer(self.hidden, X.shape[1], draws)
        rows = torch.from_numpy(self._standardised(X).astype(np.float32))

        def loss(which: torch.Tensor | slice) -> torch.Tensor:
            return mse_loss(linear(relu(linear(rows[which], *encoder)), *decoder), rows[which])

        descend(loss, [*encoder, *decoder], len(X), plan, draws)
        with torch.no_grad():
            self.loss_ = float(loss(slice(None)).item())
        self.weights_, self.bias_ = (tensor.detach().numpy().copy() for tensor in encoder)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(N, hidden) float64, not negative."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        # in float64, else a row's result depended on how many others are transformed with it
        return np.asarray(np.maximum(self._standardised(X) @ self.weights_.T.astype(np.float64) + self.bias_, 0))

    def _standardised(self, X: np.ndarray) -> np.ndarray:
        return np.asarray((X - self.mean_) / self.scale_)
