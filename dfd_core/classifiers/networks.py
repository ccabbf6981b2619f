"""Small networks on vectors: a new one is one entry here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dfd_core.classifiers.registry import ClassifierCard
from dfd_core.specs import Spec

Count = Annotated[int, Field(ge=1)]


class MlpOptions(Spec):
    """Options of `mlp`.

    Attributes:
        hidden: Width of the hidden layer.
        epochs: How often each training row is seen.
        batch_size: Rows of a step.
        learning_rate: Adam's.
    """

    hidden: Count = 768
    epochs: Count = 7
    batch_size: Count = 30
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3


def _mlp(options: MlpOptions, seed: int) -> Any:
    from dfd_core.classifiers.perceptron import Perceptron

    return Perceptron(**options.model_dump(), random_state=seed)


ENTRIES = {
    "mlp": ClassifierCard(
        "one hidden layer of ReLU, binary cross-entropy, Adam",
        MlpOptions,
        _mlp,
        dtype="float32",
        trusted=("dfd_core.classifiers.perceptron.Perceptron",),
    ),
}
