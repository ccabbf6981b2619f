"""What a hierarchy is made of: its levels, merged generators, and below which score an answer is `unknown`."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from dfd_core.classifiers import ClassifierSpec
from dfd_core.detectors.hierarchy_threshold import Threshold
from dfd_core.errors import EvaluationError
from dfd_core.reducers import ReducerSpec
from dfd_core.specs import Spec

Level = Literal["real", "family", "generator"]
LEVELS: tuple[Level, ...] = get_args(Level)
REAL, GENERATED, UNKNOWN = "real", "generated", "unknown"
RESERVED = (REAL, GENERATED, UNKNOWN)
UNKNOWN_BELOW: Mapping[Level, str] = {"real": "0.5", "family": "5pct", "generator": "5pct"}


class LevelSpec(Spec):
    """What decides at one level.

    Attributes:
        reducer: Fitted on the training rows of each decision.
        classifier: Any of the registry; one for two classes only is fitted once for each class against the rest.
    """

    reducer: ReducerSpec = ReducerSpec()
    classifier: ClassifierSpec = ClassifierSpec(name="logistic_regression")


class HierarchySpec(Spec):
    """A hierarchy: real or generated, then the family, then the generator within its family.

    Attributes:
        name: What people call it.
        default: What decides at the levels that `levels` does not name.
        levels: What decides at single levels.
        merge: Names of subfamilies, each with the glob patterns of the generators that count as one, such as
            `glide: [glide_*]`.
        unknown_below: By level, the score below which the answer there is `unknown`; one threshold holds for all. A
            number is such a score; 0.5 is the border between a class and all others, so with it the first level always
            answers. `5pct` is the score that 5 % of known samples miss, found for each decision with a trial that is
            fitted without a fifth of its training rows. Scores of some classifiers are probabilities, those of others
            lie within a few hundredths of 0.5: no number suits all of them, a share does.
        seed: Seeds reducers and classifiers.
    """

    name: Annotated[str, Field(min_length=1)]
    default: LevelSpec = LevelSpec()
    levels: dict[Level, LevelSpec] = {}
    merge: dict[str, tuple[str, ...]] = {}
    unknown_below: dict[Level, Threshold] = dict(UNKNOWN_BELOW)
    seed: int = 0

    @field_validator("unknown_below", mode="before")
    @classmethod
    def _for_every_level(cls, value: Any) -> Any:
        if isinstance(value, int | float | str):
            return dict.fromkeys(LEVELS, value)
        return {**UNKNOWN_BELOW, **value} if isinstance(value, Mapping) else value

    @field_validator("merge")
    @classmethod
    def _patterns_are_there(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, patterns in value.items():
            if name in RESERVED or not name:
                raise ValueError(f"a subfamily can't be called {name!r}; {', '.join(RESERVED)} are answers already")
            if not patterns or not all(patterns):
                raise ValueError(f"the subfamily {name!r} needs patterns of generators' names, none of them empty")
        return value

    def at(self, level: Level) -> LevelSpec:
        """What decides at a level."""
        return self.levels.get(level, self.default)


def merged(merge: Mapping[str, tuple[str, ...]], families: Mapping[str, str], *, trained: bool) -> dict[str, str]:
    """The name under which each generator counts: its subfamily's, or its own.

    Args:
        merge: Patterns by subfamily.
        families: The family of each generator.
        trained: Whether these are the generators of the training rows, so that every pattern must match one of them.

    Raises:
        EvaluationError: A pattern matches nothing, a generator belongs to two subfamilies, a subfamily has generators
            of two families or the name of a generator outside it.
    """
    found: dict[str, str] = {}
    for name, patterns in merge.items():
        members = {generator for generator in families if any(fnmatchcase(generator, one) for one in patterns)}
        for pattern in patterns:
            if trained and not any(fnmatchcase(generator, pattern) for generator in families):
                known = ", ".join(sorted(families))
                raise EvaluationError(
                    f"The pattern {pattern!r} of the subfamily {name!r} matches no generator of the training rows. "
                    f"These are: {known}. Correct or remove it under `merge`."
                )
        kinds = sorted({families[generator] for generator in members})
        if len(kinds) > 1:
            listed = ", ".join(f"{generator} ({families[generator]})" for generator in sorted(members))
            raise EvaluationError(
                f"The subfamily {name!r} would merge generators of {len(kinds)} families: {listed}. Narrow its "
                "patterns under `merge`, or correct the families in the manifests."
            )
        if name in families and name not in members:
            raise EvaluationError(
                f"The subfamily {name!r} has the name of a generator that its patterns {', '.join(patterns)} leave "
                "out. Add a pattern that matches it, or choose another name under `merge`."
            )
        twice = sorted(members & found.keys())
        if twice:
            raise EvaluationError(
                f"The generator {twice[0]!r} matches patterns of two subfamilies, {found[twice[0]]!r} and {name!r}. "
                "Narrow one of them under `merge`."
            )
        found |= dict.fromkeys(members, name)
    return {generator: found.get(generator, generator) for generator in families}
