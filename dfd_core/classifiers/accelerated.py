"""scikit-learn-intelex, where it is installed and worth its start.

Its classes are used by name: `patch_sklearn` would change what every other library of the process gets. What they fit
is kept in types of our own, so that a saved detector is read without it.
"""

from __future__ import annotations

import functools
import importlib.metadata
from typing import Any, Literal

PLAIN = "scikit-learn"
SMALLEST_ROWS = 5000
"""Below, plain scikit-learn needs no longer than 2 s."""


@functools.cache
def version() -> str | None:
    """The version that is installed, if any."""
    try:
        return importlib.metadata.version("scikit-learn-intelex")
    except importlib.metadata.PackageNotFoundError:
        return None


def implementation(kind: Literal["SVC", "RandomForestClassifier"], rows: int) -> tuple[Any, str]:
    """A class for so many training rows, and the name of what it comes from; plain scikit-learn gives `None`.

    Args:
        kind: What scikit-learn calls it.
        rows: N; the choice depends on nothing else, so every machine with the same packages chooses the same.
    """
    if rows < SMALLEST_ROWS or version() is None:
        return None, PLAIN
    from sklearnex import ensemble, svm

    return getattr(svm if kind == "SVC" else ensemble, kind), f"scikit-learn-intelex {version()}"
