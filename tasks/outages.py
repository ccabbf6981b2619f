"""A store that does not answer for a while: the dispatcher deals nothing meanwhile, and keeps its actors."""

from __future__ import annotations

import time

from dfd_core.errors import StoreError
from dfd_core.wording import duration
from tasks.fault_log import FaultLog
from tasks.in_flight import Job

FACTORS = (1, 5, 25)
"""Of the first wait. Of many shards that meet an outage only those dealt first come again after each, so one counts."""


class Outages:
    """What shards that met a store out of reach say of it, and until when nothing is to be dealt.

    Whoever is dealt a shard after the wait finds out whether the store is back.

    Args:
        wait_s: The first wait; the others are multiples of it.
        faults: Gets a line when an outage begins, and one when it is over.
    """

    def __init__(self, wait_s: float, faults: FaultLog) -> None:
        self.waits_s = [wait_s * factor for factor in FACTORS]
        self.faults = faults
        self.until_s = 0.0
        self.began_s: float | None = None

    def met(self, job: Job, error: StoreError) -> None:
        """A shard met a store, or a place of images, that is out of reach, and is to come again after the wait.

        Raises:
            StoreError: It has met it after each wait.
        """
        if job.store_failures == len(self.waits_s):
            raise error
        now = time.monotonic()
        if self.began_s is None:
            self.began_s = now
            self.faults.store_is_away(job, sum(self.waits_s), error)
        self.until_s = max(self.until_s, now + self.waits_s[job.store_failures])
        job.store_failures += 1

    def got_through(self) -> None:
        """A shard was read and written. What was so before the wait says nothing."""
        if self.began_s is not None and not self.left_s():
            self.faults.store_is_back(duration(time.monotonic() - self.began_s))
            self.began_s = None

    def left_s(self) -> float:
        """How long nothing is to be dealt; 0 when there is no outage."""
        return max(self.until_s - time.monotonic(), 0.0)
