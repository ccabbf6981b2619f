"""The classifiers there are: a new one is one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from dfd_core.choices import Choice, NoOptions
from dfd_core.registry import Registry
from dfd_core.specs import Spec


def _no_notes(_model: Any, _X: np.ndarray, _y: np.ndarray) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class ClassifierCard:
    """What is known of a classifier.

    Attributes:
        title: What it does, in a line.
        options: The model of its options.
        build: Makes an unfitted classifier with `fit`, `predict_proba` and `classes_` from the options and a seed.
        dtype: The type of the vectors that it is given.
        notes: What a reader of the results must know of a fitted one, from itself and its training rows (N, D), (N,).
        trusted: Names of the types, beyond scikit-learn's, that a saved one may hold.
    """

    title: str
    options: type[Spec]
    build: Callable[[Any, int], Any]
    dtype: Literal["float32", "float64"]
    notes: Callable[[Any, np.ndarray, np.ndarray], tuple[str, ...]] = _no_notes
    trusted: tuple[str, ...] = ()


CLASSIFIERS: Registry[ClassifierCard] = Registry("classifier")


class ClassifierSpec(Choice):
    """A classifier of the registry with its options."""

    @classmethod
    def options_of(cls, name: str) -> type[Spec]:
        """The model of a classifier's options."""
        return CLASSIFIERS[name].options


class LogisticRegressionOptions(Spec):
    """Options of `logistic_regression`.

    Attributes:
        C: Inverse strength of the L2 penalty.
        max_iter: L-BFGS steps after which the fit gives up and says so.
    """

    C: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    max_iter: Annotated[int, Field(ge=1)] = 5000


def _logistic_regression(options: LogisticRegressionOptions, seed: int) -> Any:
    from dfd_core.classifiers.logistic_regression import build

    return build(options.C, options.max_iter, seed)


def _convergence_notes(model: Any, X: np.ndarray, y: np.ndarray) -> tuple[str, ...]:
    from dfd_core.classifiers.logistic_regression import convergence_notes

    return convergence_notes(model, X, y)


def _nearest_neighbour(_: NoOptions, __: int) -> Any:
    from dfd_core.classifiers.nearest_neighbour import NearestNeighbour

    return NearestNeighbour()


CLASSIFIERS.add(
    "logistic_regression",
    ClassifierCard(
        "linear probe: L2-penalised logistic regression, run until it has converged",
        LogisticRegressionOptions,
        _logistic_regression,
        dtype="float64",
        notes=_convergence_notes,
    ),
)
CLASSIFIERS.add(
    "nearest_neighbour",
    ClassifierCard(
        "the nearer of two banks, real and fake, by cosine to its nearest member",
        NoOptions,
        _nearest_neighbour,
        dtype="float32",
        trusted=("dfd_core.classifiers.nearest_neighbour.NearestNeighbour",),
    ),
)
