"""A perceptron with one hidden layer."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from dfd_core.classifiers.binary import BinaryClassifier
from dfd_core.reducers.descent import Descent, dense_layer, descend


class Perceptron(BinaryClassifier):
    """Hidden layer of ReLU, one output, binary cross-entropy, Adam; the vectors are taken as they are.

    Args:
        hidden: Width of the hidden layer.
        epochs: How often each training row is seen.
        batch_size: Rows of a step.
        learning_rate: Adam's.
        random_state: Seeds the first weights and the order of rows.

    Attributes:
        hidden_weights_: (hidden, D) float32.
        hidden_bias_: (hidden,) float32.
        weights_: (hidden,) float32.
        bias_: A number.
    """

    def __init__(
        self,
        hidden: int = 768,
        epochs: int = 7,
        batch_size: int = 30,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Trains on rows (N, D) and their labels (N,).

        Raises:
            ValueError: Not two classes, or values that are not finite.
        """
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, linear, relu

        X, codes = self._training_rows(X, y, np.float32)
        plan = Descent(self.epochs, self.batch_size, self.learning_rate, self.random_state)
        draws = plan.draws()
        first = dense_layer(X.shape[1], self.hidden, draws)
        last = dense_layer(self.hidden, 1, draws)
        target = torch.from_numpy(codes.astype(np.float32))
        rows = torch.from_numpy(np.array(X))

        def loss(which: torch.Tensor) -> torch.Tensor:
            logits = linear(relu(linear(rows[which], *first)), *last)[:, 0]
            return binary_cross_entropy_with_logits(logits, target[which])

        descend(loss, [*first, *last], len(X), plan, draws)
        self.hidden_weights_, self.hidden_bias_ = (tensor.detach().numpy().copy() for tensor in first)
        self.weights_, self.bias_ = last[0].detach().numpy()[0].copy(), float(last[1].item())
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) float64 the output before the sigmoid."""
        # in float64, else a row's score depended on how many others are scored with it
        hidden = self._rows(X, np.float64) @ self.hidden_weights_.T.astype(np.float64) + self.hidden_bias_
        return np.asarray(np.maximum(hidden, 0, out=hidden) @ self.weights_.astype(np.float64) + self.bias_)
