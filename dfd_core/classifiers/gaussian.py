"""Classifiers that take each class for a normal distribution: a new one is one entry here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dfd_core.choices import NoOptions
from dfd_core.classifiers.registry import ClassifierCard, notes_of
from dfd_core.specs import Spec


class LdaOptions(Spec):
    """Options of `lda`.

    Attributes:
        shrinkage: How far the covariance is drawn to a multiple of the identity; `auto` is Ledoit and Wolf's.
    """

    shrinkage: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] | None = None


class QdaOptions(Spec):
    """Options of `qda`.

    Attributes:
        reg_param: How far each covariance is drawn to the identity.
    """

    reg_param: Annotated[float, Field(ge=0, le=1)] = 0.0


def _lda(options: LdaOptions, _: int) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    solver = "svd" if options.shrinkage is None else "lsqr"
    return LinearDiscriminantAnalysis(solver=solver, shrinkage=options.shrinkage)


def _qda(options: QdaOptions, _: int) -> Any:
    from dfd_core.classifiers.quadratic import QuadraticDiscriminant

    return QuadraticDiscriminant(options.reg_param)


def _naive_bayes(_: NoOptions, __: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


ENTRIES = {
    "lda": ClassifierCard("linear discriminant analysis", LdaOptions, _lda, dtype="float64"),
    "qda": ClassifierCard(
        "quadratic discriminant analysis; a singular covariance is regularised, and a note says so",
        QdaOptions,
        _qda,
        dtype="float64",
        notes=notes_of("quadratic"),
        trusted=("dfd_core.classifiers.quadratic.QuadraticDiscriminant",),
    ),
    "naive_bayes": ClassifierCard("Gaussian naive Bayes", NoOptions, _naive_bayes, dtype="float64"),
}
