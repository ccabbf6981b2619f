"""Which reals a generator's images are compared with."""

from __future__ import annotations

from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from dfd_core.errors import ConfigError, UnknownNameError
from dfd_core.manifests.schema import REAL

Pairing = Literal["collection", "dataset", "all"] | dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]
"""How reals are chosen for a generator.

`collection`: in every dataset that has the generator, the reals whose source equals its name (the folder
`progan/0_real`), and where there are none of these, all reals of that dataset. `dataset`: all reals of the datasets
that have it. `all`: all reals there are. A mapping names the sources for some generators; the others are paired by
collection.
"""


def reals_of(frame: pd.DataFrame, generator: str, pairing: Pairing = "collection") -> pd.Series[bool]:
    """The reals that a generator's images are paired with.

    Give whole datasets and restrict the answer to a split afterwards: after a filter that removed a generator's own
    reals all others would stand in.

    Args:
        frame: Rows of one or several manifests.
        generator: A generator's name as it stands in the column `generator`.
        pairing: How they are chosen.

    Returns:
        A mask over the rows, with the frame's index.

    Raises:
        UnknownNameError: No row is by this generator.
        ConfigError: The pairing names a source that no real has.
    """
    made = (frame["generator"] == generator) & (frame["label"] == 1)
    if not made.any():
        raise UnknownNameError("generator", generator, set(frame["generator"]) - {REAL})
    real = frame["label"] == 0
    if pairing == "all":
        return real.astype(bool)
    if isinstance(pairing, dict) and generator in pairing:
        return _of_sources(frame, real, pairing[generator])
    reals = real & frame["dataset"].isin(frame.loc[made, "dataset"])
    if pairing == "dataset":
        return reals.astype(bool)
    own = reals & (frame["source"] == generator).fillna(False)
    with_own = frame["dataset"].isin(frame.loc[own, "dataset"])
    return (own | (reals & ~with_own)).astype(bool)


def _of_sources(frame: pd.DataFrame, real: pd.Series[bool], sources: tuple[str, ...]) -> pd.Series[bool]:
    known = set(frame.loc[real, "source"].dropna())
    unknown = sorted(set(sources) - known)
    if unknown:
        raise ConfigError(
            f"The pairing names the sources {', '.join(unknown)}, which no real of these datasets has. "
            f"There are: {', '.join(sorted(known)) or 'none that is named'}."
        )
    return (real & frame["source"].isin(sources)).astype(bool)
