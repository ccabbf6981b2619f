"""What a classifier is to the rest: a card in a registry, and a name with options in a configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dfd_core.choices import Choice
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
        shared_option: The option whose values all come from one search of the same bank, if there is one; the
            classifier is then a `BankClassifier`, and the option is its `k`.
    """

    title: str
    options: type[Spec]
    build: Callable[[Any, int], Any]
    dtype: Literal["float32", "float64"]
    notes: Callable[[Any, np.ndarray, np.ndarray], tuple[str, ...]] = _no_notes
    trusted: tuple[str, ...] = ()
    shared_option: Literal["k"] | None = None


CLASSIFIERS: Registry[ClassifierCard] = Registry("classifier")


class ClassifierSpec(Choice):
    """A classifier of the registry with its options."""

    @classmethod
    def options_of(cls, name: str) -> type[Spec]:
        """The model of a classifier's options."""
        return CLASSIFIERS[name].options


def notes_of(module: str) -> Callable[[Any, np.ndarray, np.ndarray], tuple[str, ...]]:
    """The function `notes` of a module of this room, which is imported when it is called."""

    def notes(model: Any, X: np.ndarray, y: np.ndarray) -> tuple[str, ...]:
        from importlib import import_module

        return tuple(import_module(f"{__package__}.{module}").notes(model, X, y))

    return notes
