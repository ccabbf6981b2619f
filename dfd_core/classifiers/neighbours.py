"""Nearest neighbours: a new one is one entry here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from dfd_core.classifiers.registry import ClassifierCard
from dfd_core.specs import Spec


class KnnOptions(Spec):
    """Options of `knn`.

    Attributes:
        k: How many neighbours vote.
        metric: What is near.
    """

    k: Annotated[int, Field(ge=1)] = 5
    metric: Literal["euclidean", "cosine"] = "euclidean"


class NearestNeighbourOptions(Spec):
    """Options of `nearest_neighbour`.

    Attributes:
        k: How many neighbours vote; odd, so that there is always a majority.
    """

    k: Annotated[int, Field(ge=1)] = 1

    @field_validator("k")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"{value} neighbours may vote for both sides alike; choose an odd number")
        return value


def _knn(options: KnnOptions, _: int) -> Any:
    from dfd_core.classifiers.k_nearest import KNearestNeighbours

    return KNearestNeighbours(options.k, options.metric)


def _nearest_neighbour(options: NearestNeighbourOptions, _: int) -> Any:
    from dfd_core.classifiers.nearest_neighbour import NearestNeighbour

    return NearestNeighbour(options.k)


ENTRIES = {
    "knn": ClassifierCard(
        "the share of fakes among the k nearest training rows",
        KnnOptions,
        _knn,
        dtype="float32",
        trusted=("dfd_core.classifiers.k_nearest.KNearestNeighbours",),
        shared_option="k",
    ),
    "nearest_neighbour": ClassifierCard(
        "the nearer of two banks, real and fake, by cosine to its nearest member",
        NearestNeighbourOptions,
        _nearest_neighbour,
        dtype="float32",
        trusted=("dfd_core.classifiers.nearest_neighbour.NearestNeighbour",),
        shared_option="k",
    ),
}
