"""What an audit looks for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dfd_core.audit.findings import Severity
from dfd_core.specs import Spec


class AuditSpec(Spec):
    """What a configuration may say of the audit.

    Attributes:
        fail_on: Findings of this severity or above fail the audit; by default none does.
        near_duplicates: Whether every image is decoded, once and reduced, for perceptual hashes. Only then are files
            found that are damaged behind their header; else a file counts as cut where it lacks its end marker.
        radius: Up to how many of the 255 bits of two perceptual hashes may differ in near duplicates.
        shortcut_auroc: A property that predicts the label with this AUROC is a warning, from 0.95 on an error.
        min_per_generator: Fewer files of a generator or of its reals are a warning.
        max_rows: The shortcut score of a generator is measured on at most so many files.
        seed: Of the folds, of that choice, and of the images on contact sheets.
    """

    fail_on: Severity | None = None
    near_duplicates: bool = True
    radius: Annotated[int, Field(ge=0, le=47)] = 24
    shortcut_auroc: Annotated[float, Field(gt=0.5, le=1)] = 0.65
    min_per_generator: Annotated[int, Field(ge=0)] = 20
    max_rows: Annotated[int, Field(ge=100)] = 20_000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
