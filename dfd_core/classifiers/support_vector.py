"""Support vector machines: a new one is one entry here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dfd_core.classifiers.registry import ClassifierCard, notes_of
from dfd_core.specs import Spec

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LinearSvmOptions(Spec):
    """Options of `svm_linear`.

    Attributes:
        C: Inverse strength of the L2 penalty.
        max_iter: Steps of the solver after which the fit gives up and says so.
    """

    C: Positive = 1.0
    max_iter: Annotated[int, Field(ge=1)] = 1_000_000


class RbfSvmOptions(LinearSvmOptions):
    """Options of `svm_rbf`.

    Attributes:
        gamma: Of the kernel exp(-gamma |a - b|^2); `scale` is 1 / (D times the variance of all training values).
    """

    gamma: Positive | Literal["scale"] = "scale"


def _svm(options: LinearSvmOptions, _: int) -> Any:
    from dfd_core.classifiers.support_vectors import SupportVectorMachine

    if isinstance(options, RbfSvmOptions):
        return SupportVectorMachine("rbf", options.C, options.gamma, options.max_iter)
    return SupportVectorMachine("linear", options.C, max_iter=options.max_iter)


_TRUSTED = ("dfd_core.classifiers.support_vectors.SupportVectorMachine",)

ENTRIES = {
    "svm_rbf": ClassifierCard(
        "support vector machine, RBF kernel; score is the sigmoid of the decision, no probability",
        RbfSvmOptions,
        _svm,
        dtype="float64",
        notes=notes_of("support_vectors"),
        trusted=_TRUSTED,
    ),
    "svm_linear": ClassifierCard(
        "support vector machine, linear kernel; score is the sigmoid of the decision, no probability",
        LinearSvmOptions,
        _svm,
        dtype="float64",
        notes=notes_of("support_vectors"),
        trusted=_TRUSTED,
    ),
}
