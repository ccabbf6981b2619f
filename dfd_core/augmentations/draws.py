"""Random numbers that depend on nothing but what they are for."""

from __future__ import annotations

import hashlib
import json


class Draws:
    """The draws of one step for one sample.

    A number is read from the SHA-256 of the seed, the sample, the step's position and the drawn quantity's name. So it
    is the same in every process, shard, order and version of a library, and whatever else is drawn beside it.

    Args:
        seed: The augmentation's seed.
        sample_id: Any text that names the sample.
        position: The step's place in its chain, from 0.
    """

    def __init__(self, seed: int, sample_id: str, position: int) -> None:
        self._source = (seed, sample_id, position)

    def unit(self, name: str) -> float:
        """A number in [0, 1), a multiple of 2^-53."""
        digest = hashlib.sha256(json.dumps([*self._source, name]).encode()).digest()
        return float((int.from_bytes(digest[:8]) >> 11) * 2.0**-53)

    def real(self, name: str, low: float, high: float) -> float:
        """A real number in [low, high], each equally likely."""
        return min(high, low + (high - low) * self.unit(name))

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included, each equally likely."""
        return low + int((high - low + 1) * self.unit(name))
