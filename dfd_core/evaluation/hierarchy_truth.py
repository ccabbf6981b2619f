"""What a sample is at each level of a hierarchy, and which answer is right.

- `real`: a real is `real`; a generated sample is `generated`, whoever made it.
- `family`: a generated sample is its family, if any generator of that family was trained on, else `unknown`.
- `generator`: it is its generator, if that was trained on. One that was not is the subfamily that it is merged into, if
  others of that were trained on, else `unknown`.

A real is `real` at each level. Generators are seen or unseen by their own name, before merging.
"""

from __future__ import annotations

from dataclasses import dataclass

from dfd_core.detectors.hierarchy import HierarchySummary
from dfd_core.detectors.hierarchy_rows import HierarchyRows, families_of
from dfd_core.detectors.hierarchy_spec import GENERATED, LEVELS, REAL, UNKNOWN, Level, merged
from dfd_core.errors import EvaluationError


@dataclass(frozen=True)
class Truth:
    """What a sample really is at one level: a row of a confusion matrix.

    Attributes:
        name: `real`, `generated`, a family or a generator.
        family: The generator's family; the name itself at the levels above.
        seen: Whether the sample's generator was trained on; so are reals.
        right: The right answer.
    """

    name: str
    family: str
    seen: bool
    right: str


def truths(summary: HierarchySummary, rows: HierarchyRows) -> dict[Level, list[Truth]]:
    """What each of N samples is, at each level.

    Raises:
        EvaluationError: A generator is of another family than in training, or does not fit the subfamilies.
    """
    fake = rows.label == 1
    trained = {generator: summary.families[name] for generator, name in summary.generators.items()}
    tested = families_of(rows.generator[fake], rows.family[fake])
    changed = sorted(one for one in tested.keys() & trained.keys() if tested[one] != trained[one])
    if changed:
        one = changed[0]
        raise EvaluationError(
            f"The generator {one!r} is of the family {tested[one]!r} in the test and was of {trained[one]!r} when "
            f"{summary.spec.name} was fitted. Correct the manifests."
        )
    names = merged(summary.spec.merge, {**trained, **tested}, trained=False)
    families = set(trained.values())
    known = set(summary.families)
    real = Truth(REAL, REAL, True, REAL)
    truth: dict[Level, dict[str, Truth]] = {"real": {}, "family": {}, "generator": {}}
    for generator, family in tested.items():
        seen, name = generator in trained, names[generator]
        truth["real"][generator] = Truth(GENERATED, GENERATED, seen, GENERATED)
        truth["family"][generator] = Truth(family, family, seen, family if family in families else UNKNOWN)
        right = name if name in known else UNKNOWN
        truth["generator"][generator] = Truth(name if seen else generator, family, seen, right)
    pairs = list(zip(rows.generator.tolist(), fake.tolist(), strict=True))
    return {level: [truth[level][one] if generated else real for one, generated in pairs] for level in LEVELS}


def answers_at(summary: HierarchySummary, level: Level) -> list[tuple[str, str]]:
    """The answers there can be, but for `unknown`, each with its family."""
    families = summary.families
    if level == "real":
        return [(REAL, REAL), (GENERATED, GENERATED)]
    found = [(one, one) for one in set(families.values())] if level == "family" else list(families.items())
    return [(REAL, REAL), *found]
