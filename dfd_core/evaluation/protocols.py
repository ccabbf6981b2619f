"""Which samples fit and which test.

Detectors are fitted on split `train` and tested on split `test` of every generator of every dataset; what they are
fitted on is the protocol's. The reals of a generator are those that `reals_of` pairs with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.evaluation.samples import ALL, TRAIN, Generator, Samples
from dfd_core.manifests.pairing import Pairing
from dfd_core.specs import Spec

Names = Annotated[tuple[str, ...], Field(min_length=1)]
ProtocolName = Literal[
    "cross_generator", "cross_dataset", "in_distribution", "leave_one_generator_out", "leave_one_family_out"
]
MATCHED = "matched"
MIXED = "mixed"
PROTOCOLS: dict[str, str] = {
    "cross_generator": "trained on one generator, tested on every generator",
    "cross_dataset": "trained on all generators of one dataset, tested on every dataset",
    "in_distribution": "trained on all generators of one dataset, tested on the same ones",
    "leave_one_generator_out": "trained on all generators but one, whatever its dataset; that one is the unseen one",
    "leave_one_family_out": "trained on all generators but those of one family; these are the unseen ones",
}


class ProtocolSpec(Spec):
    """Which samples fit and which test.

    Attributes:
        train_on: How training sets are made; several protocols are followed side by side.
        train_augmentations: Augmentations that detectors are fitted on, or `all`; left out, `none` where there is one,
            else all.
        test_augmentations: Augmentations that they are tested on; left out, all.
        matched: Whether detectors are fitted on the augmentation `matched` too, and tested on it alone: both classes
            brought to one size and encoded alike, so that neither tells anything.
        pairing: Which reals belong to which generator.
        min_samples_per_class: Fewest samples of a label from which anything is learned or measured.
    """

    train_on: Annotated[tuple[ProtocolName, ...], Field(min_length=1)] = ("cross_generator",)
    train_augmentations: Names | Literal["all"] | None = None
    test_augmentations: Names | None = None
    matched: bool = False
    pairing: Pairing = "collection"
    min_samples_per_class: Annotated[int, Field(ge=1)] = 2

    @model_validator(mode="after")
    def _are_distinct(self) -> ProtocolSpec:
        if len(set(self.train_on)) < len(self.train_on):
            raise ValueError(f"train_on names one twice: {', '.join(self.train_on)}")
        return self

    def choose_training(self, available: Collection[str]) -> tuple[str, ...]:
        """The augmentations to fit on, out of those that have features.

        Raises:
            UnknownNameError: One that was asked for has none.
        """
        everything = tuple(sorted(available))
        default = ("none",) if "none" in available else everything
        wanted = everything if self.train_augmentations == "all" else self.train_augmentations or default
        chosen = _chosen(wanted, available)
        return tuple(dict.fromkeys((*chosen, *_chosen((MATCHED,), available)))) if self.matched else chosen

    def choose_testing(self, available: Collection[str], trained_on: str = "none") -> tuple[str, ...]:
        """The augmentations to test a detector on, out of those that have features.

        Args:
            available: Those that have features.
            trained_on: The augmentation that it was fitted on.

        Raises:
            UnknownNameError: One that was asked for has none.
        """
        chosen = _chosen(self.test_augmentations or tuple(sorted(available)), available)
        if not self.matched:
            return chosen
        return (MATCHED,) if trained_on == MATCHED else tuple(name for name in chosen if name != MATCHED)


@dataclass(frozen=True)
class TrainingSet:
    """The fakes of some generators and the reals paired with them, in split `train`.

    Attributes:
        protocol: Why it is a training set.
        dataset: The dataset, or several joined by `+`.
        generator: The generator, `all`, or `all but` what is left out.
        members: (dataset, generator) of each generator in it.
        n_real: Its reals.
        n_fake: Its fakes.
    """

    protocol: str
    dataset: str
    generator: str
    members: tuple[Generator, ...]
    n_real: int
    n_fake: int

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.dataset}/{self.generator}"


def training_sets(samples: Samples, protocol: ProtocolSpec, augmentation: str | None = None) -> list[TrainingSet]:
    """The training sets with enough samples of both labels, protocol after protocol.

    Args:
        samples: The run's samples.
        protocol: The protocol.
        augmentation: Leaves out imported samples that have vectors under another one only.

    Raises:
        EvaluationError: There is none.
    """
    usable = usable_sets(samples, protocol, augmentation)
    if not usable:
        sets = list(_training_sets(samples, protocol, augmentation))
        found = ", ".join(f"{s.title} ({s.n_real} real, {s.n_fake} fake)" for s in sets) or "none"
        raise EvaluationError(
            f"No training set has {protocol.min_samples_per_class} real and as many generated samples in split "
            f"{TRAIN}. Found: {found}. Give the split {TRAIN} a larger share, add images, or lower "
            "min_samples_per_class."
        )
    return usable


def usable_sets(samples: Samples, protocol: ProtocolSpec, augmentation: str | None = None) -> list[TrainingSet]:
    """As `training_sets`, also where there is none."""
    sets = _training_sets(samples, protocol, augmentation)
    return [one for one in sets if min(one.n_real, one.n_fake) >= protocol.min_samples_per_class]


def untrainable(samples: Samples, protocol: ProtocolSpec) -> list[TrainingSet]:
    """The training sets that are left out because they have too few samples."""
    sets = _training_sets(samples, protocol, None)
    return [one for one in sets if min(one.n_real, one.n_fake) < protocol.min_samples_per_class]


def _training_sets(samples: Samples, protocol: ProtocolSpec, augmentation: str | None) -> Iterator[TrainingSet]:
    for name in protocol.train_on:
        for dataset, generator, members in _KINDS[name](samples):
            labels = samples.members(members, TRAIN, augmentation).rows["label"]
            n_fake = int(labels.sum())
            yield TrainingSet(name, dataset, generator, members, len(labels) - n_fake, n_fake)


_Named = tuple[str, str, tuple[Generator, ...]]


def _each_generator(samples: Samples) -> Iterator[_Named]:
    for pair in samples.families:
        yield *pair, (pair,)


def _each_dataset(samples: Samples) -> Iterator[_Named]:
    for dataset in sorted({dataset for dataset, _ in samples.families}):
        members = samples.generators(dataset, ALL)
        yield dataset, ALL if len(members) > 1 else members[0][1], members


def _all_but_a_generator(samples: Samples) -> Iterator[_Named]:
    trained = _trained(samples)
    for name in sorted({generator for _, generator in samples.families}):
        rest = tuple(pair for pair in trained if pair[1].lower() != name.lower())
        if rest:
            yield _joined(rest), f"all but {name}", rest


def _all_but_a_family(samples: Samples) -> Iterator[_Named]:
    trained = _trained(samples)
    for family in sorted(set(samples.families.values())):
        rest = tuple(pair for pair in trained if samples.families[pair] != family)
        if rest:
            yield _joined(rest), f"all but {family}", rest


def _trained(samples: Samples) -> tuple[Generator, ...]:
    fakes = samples.frame[(samples.frame["label"] == 1) & (samples.frame["split"] == TRAIN)]
    present = set(zip(fakes["dataset"], fakes["generator"], strict=True))
    return tuple(pair for pair in samples.families if pair in present)


def _joined(members: tuple[Generator, ...]) -> str:
    return "+".join(dict.fromkeys(dataset for dataset, _ in members))


_KINDS: dict[str, Callable[[Samples], Iterator[_Named]]] = {
    "cross_generator": _each_generator,
    "cross_dataset": _each_dataset,
    "in_distribution": _each_dataset,
    "leave_one_generator_out": _all_but_a_generator,
    "leave_one_family_out": _all_but_a_family,
}
assert set(_KINDS) == set(PROTOCOLS) == set(get_args(ProtocolName))


def _chosen(wanted: tuple[str, ...], available: Collection[str]) -> tuple[str, ...]:
    for name in wanted:
        if name not in available:
            raise UnknownNameError("augmentation with features", name, available)
    return wanted
