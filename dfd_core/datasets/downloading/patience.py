"""Waiting for a server: between attempts, and beside whatever it keeps silent about."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeVar

from dfd_core.crew import Crew
from dfd_core.datasets.downloading.origins import TransientFault
from dfd_core.datasets.downloading.terms import Checkpoint, Fetching
from dfd_core.errors import UnreachableError

logger = logging.getLogger(__name__)
T = TypeVar("T")
TICK_S = 0.2
_LONG_WAIT_S = 3.0


class Patience:
    """How long one address is waited for; threads share it.

    Args:
        address: For messages.
        how: Attempts and waiting.
    """

    def __init__(self, address: str, how: Fetching) -> None:
        self.address, self.how, self.told = address, how, 0.0

    def try_again(self, act: Callable[[], T], crew: Crew) -> T:
        """Acts until it works.

        Raises:
            UnreachableError: It did not, as often as is worth it.
        """
        failures = 0
        while True:
            try:
                return act()
            except TransientFault as fault:
                failures += 1
                self.wait(failures, fault, crew)

    def wait(self, failures: int, fault: TransientFault, crew: Crew) -> None:
        """Waits after so many failures in a row.

        Raises:
            UnreachableError: It is not worth it.
        """
        longest = self.how.longest_wait_s
        asked = fault.wait_s or 0.0
        if failures >= self.how.attempts or asked > longest:
            wish = f" It asks to be left alone for {asked:.0f} s." if asked > longest else f" {failures} attempts."
            raise UnreachableError(
                f"{self.address} can't be downloaded now: {fault}.{wish} The same command goes on where this ended."
            ) from fault
        seconds = max(asked, min(longest, self.how.first_wait_s * 2.0 ** (failures - 1)))
        now = time.monotonic()
        tell = seconds >= _LONG_WAIT_S and now - self.told > _LONG_WAIT_S  # each thread waits, one tells
        self.told = now if tell else self.told
        level = logging.WARNING if tell else logging.INFO
        what = "%s: %s; attempt %d follows in %.1f s"
        logger.log(level, what, self.address, fault, failures + 1, seconds)
        crew.pause(seconds)


def watched(act: Callable[[Crew], T], checkpoint: Checkpoint) -> T:
    """Acts in another thread, so that this one can be asked to stop whatever the network does."""
    with Crew(1) as crew:
        future = crew.give(functools.partial(act, crew))
        while not wait([future], timeout=TICK_S).done:
            checkpoint()
        return future.result()
