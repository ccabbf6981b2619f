"""The reducers there are: a new one is one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dfd_core.choices import Choice, NoOptions
from dfd_core.registry import Registry
from dfd_core.specs import Spec


@dataclass(frozen=True)
class ReducerCard:
    """What is known of a reducer.

    Attributes:
        title: What it does, in a line.
        options: The model of its options.
        build: Makes an unfitted transformer with scikit-learn's interface from the options and a seed; `None` leaves
            the vectors as they are.
    """

    title: str
    options: type[Spec]
    build: Callable[[Any, int], Any]


REDUCERS: Registry[ReducerCard] = Registry("reducer")


class ReducerSpec(Choice):
    """A reducer of the registry with its options."""

    name: str = "none"

    @classmethod
    def options_of(cls, name: str) -> type[Spec]:
        """The model of a reducer's options."""
        return REDUCERS[name].options


def _standardize(_: NoOptions, __: int) -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()


REDUCERS.add("none", ReducerCard("the backbone's vectors as they are", NoOptions, lambda _, __: None))
REDUCERS.add(
    "standardize",
    ReducerCard("every column to mean 0 and variance 1 over the training rows", NoOptions, _standardize),
)
