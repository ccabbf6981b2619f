"""The reducers there are: a new one is one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from dfd_core.choices import Choice, NoOptions
from dfd_core.registry import Registry
from dfd_core.specs import Spec

Count = Annotated[int, Field(ge=1)]
VARIANCE = 0.95


@dataclass(frozen=True)
class ReducerCard:
    """What is known of a reducer.

    Attributes:
        title: What it does, in a line.
        options: The model of its options.
        build: Makes an unfitted transformer with scikit-learn's interface from the options and a seed; `None` leaves
            the vectors as they are.
        trusted: Names of the types, beyond scikit-learn's, that a saved one may hold.
    """

    title: str
    options: type[Spec]
    build: Callable[[Any, int], Any]
    trusted: tuple[str, ...] = ()


REDUCERS: Registry[ReducerCard] = Registry("reducer")


class ReducerSpec(Choice):
    """A reducer of the registry with its options."""

    name: str = "none"

    @classmethod
    def options_of(cls, name: str) -> type[Spec]:
        """The model of a reducer's options."""
        return REDUCERS[name].options


class PcaOptions(Spec):
    """Options of `pca`.

    Attributes:
        variance: So many components that they hold this share of the training rows' variance; 0.95 if nothing is said.
        components: So many components, instead.
    """

    variance: Annotated[float, Field(gt=0, lt=1)] | None = None
    components: Count | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.variance is not None and self.components is not None:
            raise ValueError("either variance or components says how many components are kept, not both")
        return self


class AutoencoderOptions(Spec):
    """Options of `autoencoder`.

    Attributes:
        hidden: Width of the hidden layer, and of what comes out.
        epochs: How often each training row is seen.
        batch_size: Rows of a step.
        learning_rate: Adam's.
    """

    hidden: Count = 128
    epochs: Count = 50
    batch_size: Count = 64
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3


def _standardize(_: NoOptions, __: int) -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()


def _pca(options: PcaOptions, seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kept = options.components or options.variance or VARIANCE
    return make_pipeline(StandardScaler(), PCA(kept, random_state=seed))


def _autoencoder(options: AutoencoderOptions, seed: int) -> Any:
    from dfd_core.reducers.autoencoder import Autoencoder

    return Autoencoder(**options.model_dump(), random_state=seed)


REDUCERS.add("none", ReducerCard("the backbone's vectors as they are", NoOptions, lambda _, __: None))
REDUCERS.add(
    "standardize",
    ReducerCard("every column to mean 0 and variance 1 over the training rows", NoOptions, _standardize),
)
REDUCERS.add(
    "pca", ReducerCard("standardised, then the first principal components of the training rows", PcaOptions, _pca)
)
REDUCERS.add(
    "autoencoder",
    ReducerCard(
        "standardised, then the hidden layer of an autoencoder trained on the training rows",
        AutoencoderOptions,
        _autoencoder,
        trusted=("dfd_core.reducers.autoencoder.Autoencoder",),
    ),
)
