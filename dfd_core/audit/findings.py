"""What an audit finds out: typed, as JSON, and with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dfd_core.errors import AuditError
from dfd_core.specs import Spec

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
"""From mild to severe: good to know; numbers may be misread; numbers would be wrong."""
REAL, GENERATED, UNKNOWN = 0, 1, -1
"""Labels; -1 where nothing says which."""
MOST_EVIDENCE = 20


class Finding(Spec):
    """One thing that a person should know.

    Attributes:
        severity: How bad it is.
        kind: What it is, in one word: `truncated`, `duplicates_across_labels`, `shortcut`, ...
        where: The dataset, and the generator behind a slash where it is about one.
        n: How many files it is about.
        message: What was found.
        advice: What to do.
        evidence: Files or figures, at most 20 lines.
    """

    severity: Severity
    kind: str
    where: str
    n: int
    message: str
    advice: str
    evidence: tuple[str, ...] = ()


class Count(Spec):
    """How many files of one kind there are.

    Attributes:
        dataset: The dataset.
        generator: What made them; for reals `real`, and their source behind a colon.
        label: 0, 1, or -1 where it is not known.
        split: The split; empty where there is none yet.
        n: Files.
    """

    dataset: str
    generator: str
    label: int
    split: str
    n: int


class Histogram(Spec):
    """How often each value of a property occurs in each class.

    Attributes:
        dataset: The dataset.
        prop: The property.
        rows: (value, real files, generated files): numbers in their order, else the most frequent first; rare ones
            together under `other`. Files of a dataset without labels stand with the reals.
    """

    dataset: str
    prop: str
    rows: tuple[tuple[str, int, int], ...]

    def totals(self) -> tuple[int, int]:
        """Real and generated files, at least 1 each, so that shares can be taken of them."""
        return max(1, sum(row[1] for row in self.rows)), max(1, sum(row[2] for row in self.rows))


class Score(Spec):
    """How well one property tells a generator's images from the reals that they are paired with.

    Attributes:
        dataset: The dataset.
        generator: The generator.
        prop: The property, or `all` of them together.
        auroc: Mean over the folds; `None` where it could not be measured.
        n_real: Reals.
        n_fake: Generated images.
        note: Why there is no figure, or that it rests on some of the files.
        medians: (what, of reals, of generated images) for `bytes`, whose histogram is too coarse to show a difference.
    """

    dataset: str
    generator: str
    prop: str
    auroc: float | None
    n_real: int
    n_fake: int
    note: str = ""
    medians: tuple[tuple[str, float, float], ...] = ()


class Groups(Spec):
    """How files belong together.

    Attributes:
        dataset: The dataset.
        files: Files.
        groups: Groups; a file by itself is one.
        largest: Files in the largest.
        mixed: Groups that hold both labels.
    """

    dataset: str
    files: int
    groups: int
    largest: int
    mixed: int


class Audit(Spec):
    """All that was found out.

    Attributes:
        findings: The worst first.
        counts: Files by dataset, generator and split.
        groups: Groups by dataset.
        histograms: Properties by class.
        scores: What each property reaches by itself.
        notes: What was and was not looked at.
    """

    findings: tuple[Finding, ...]
    counts: tuple[Count, ...]
    groups: tuple[Groups, ...]
    histograms: tuple[Histogram, ...]
    scores: tuple[Score, ...]
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The highest severity; `None` where nothing was found."""
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in reversed(SEVERITIES) if severity in found), None)

    def exit_code(self, fail_on: Severity | None) -> int:
        """3 where there is a finding of this severity or above, as `AuditError` has it, else 0."""
        if fail_on is None or self.worst is None:
            return 0
        return AuditError.exit_code if SEVERITIES.index(self.worst) >= SEVERITIES.index(fail_on) else 0


def some_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines as evidence, and how many more there are."""
    if len(lines) <= MOST_EVIDENCE:
        return tuple(lines)
    return (*lines[: MOST_EVIDENCE - 1], f"and {len(lines) - MOST_EVIDENCE + 1} more")
