"""Which reals a generator's images are compared with."""

from __future__ import annotations

import pandas as pd

from dfd_core.errors import UnknownNameError
from dfd_core.manifests.schema import REAL


def reals_of(frame: pd.DataFrame, generator: str) -> pd.Series[bool]:
    """The reals that a generator's images are paired with.

    In every dataset that has the generator, those are the reals whose source equals the generator's name (the folder
    `progan/0_real`), and where there are none of these, all reals of that dataset. Give whole datasets and restrict the
    answer to a split afterwards: after a filter that removed a generator's own reals all others would stand in.

    Args:
        frame: Rows of one or several manifests.
        generator: A generator's name as it stands in the column `generator`.

    Returns:
        A mask over the rows, with the frame's index.

    Raises:
        UnknownNameError: No row is by this generator.
    """
    made = (frame["generator"] == generator) & (frame["label"] == 1)
    if not made.any():
        raise UnknownNameError("generator", generator, set(frame["generator"]) - {REAL})
    reals = (frame["label"] == 0) & frame["dataset"].isin(frame.loc[made, "dataset"])
    own = reals & (frame["source"] == generator).fillna(False)
    with_own = frame["dataset"].isin(frame.loc[own, "dataset"])
    return (own | (reals & ~with_own)).astype(bool)
