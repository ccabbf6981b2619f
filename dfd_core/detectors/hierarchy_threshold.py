"""Below which score an answer is `unknown`: a number, or one found so that few known samples are lost."""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BeforeValidator

HELD_OUT = 5
"""One row in so many is held out to find a threshold."""

_SHARE = re.compile(r"(\d+(?:\.\d+)?)pct")


def _written(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _makes_sense(value: str) -> str:
    share = lost_share(value)
    try:
        inside = 0 < share < 1 if share is not None else 0 <= float(value) <= 1
    except ValueError:
        inside = False
    if not inside:
        raise ValueError(f"{value!r} is neither a score from 0 to 1 nor a share such as '5pct'")
    return value


Threshold = Annotated[str, BeforeValidator(_written), AfterValidator(_makes_sense)]
"""A score from 0 to 1, or `<x>pct`: the score that x % of known samples miss."""


def lost_share(threshold: str) -> float | None:
    """The share of known samples that a threshold may lose; `None` where it is a score."""
    match = _SHARE.fullmatch(threshold)
    return float(match[1]) / 100 if match else None


def held_out(codes: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Chooses rows that a trial is not fitted on; a group stays together.

    Args:
        codes: (N,) the class of each row.
        groups: (N,) its group.
        seed: Of the choice.

    Returns:
        (N,) bool: of every class a fifth at most, and as near to that as groups allow.
    """
    _, members = np.unique(groups, return_inverse=True)
    counts = np.zeros((members.max() + 1, codes.max() + 1), dtype=np.int64)
    np.add.at(counts, (members, codes), 1)
    room = counts.sum(axis=0) // HELD_OUT
    chosen = np.zeros(len(counts), dtype=bool)
    for group in np.random.default_rng(seed).permutation(len(counts)):
        if (counts[group] <= room).all():
            chosen[group] = True
            room -= counts[group]
    return np.asarray(chosen[members])


def lowest_kept(top: np.ndarray, share: float) -> float:
    """The largest of the scores (N,) below which at most that share of them lies."""
    return float(np.sort(top)[int(share * len(top))])
