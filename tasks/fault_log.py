"""What goes wrong while shards are computed, in the log when it happens: in the end only its outcome can be seen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from dfd_core.wording import duration
from tasks.in_flight import Job, Worker

LOGGER = logging.getLogger("dfd")
MOST_CHARACTERS = 300

Logger = logging.Logger | logging.LoggerAdapter[Any]


class FaultLog:
    """Lines about shards and actors, each with what follows from it.

    Args:
        logger: Gets them.
        attempts: That a shard has.
    """

    def __init__(self, logger: Logger, attempts: int) -> None:
        self.logger, self.attempts = logger, attempts

    def attempt_failed(self, job: Job, error: Exception) -> None:
        """An attempt at a shard failed, and counts."""
        more = job.failures < self.attempts
        self._warn(
            f"{job.shard.name}: attempt {job.failures} of {self.attempts} failed, it "
            + ("will be tried again" if more else "is given up and its images are quarantined"),
            error,
        )

    def store_is_away(self, job: Job, waits_s: float, error: Exception) -> None:
        """The first shard met a store out of reach."""
        self._warn(
            f"{job.shard.name} met a store out of reach. Nothing is lost: it is tried again for {duration(waits_s)} or "
            "longer, and the actors wait",
            error,
        )

    def store_is_back(self, after: str) -> None:
        """A shard was read and written after an outage."""
        self.logger.info("The store is back after %s; the extraction goes on", after)

    def actor_lost(self, worker: Worker, jobs: Sequence[Job], error: Exception, with_node: bool) -> None:
        """An actor died or stopped responding, or its node is gone."""
        what = "is lost with its node" if with_node else "died or stopped responding"
        names = ", ".join(job.shard.name for job in jobs)
        follows = f"these shards will be recomputed: {names}" if jobs else "nothing it had is lost"
        self._warn(f"The actor {worker.name} {what}; {follows}", error)

    def did_not_start(self, place: str, error: Exception) -> None:
        """An actor could not load its backbones."""
        self._warn(f"An actor on {place} failed before it was ready", error)

    def place_is_left_out(self, place: str, n: int, error: Exception) -> None:
        """A node or GPU on which actors fail gets no more shards, as long as there are others."""
        self._warn(f"{n} actors failed on {place} and finished no shard; it is left out while others work", error)

    def comes_carefully(self, job: Job) -> None:
        """A shard that may have ended an actor is tried again."""
        self.logger.info("%s is tried again alone, with every image decoded in a process of its own", job.shard.name)

    def threads_hang(self, worker: Worker, n: int) -> None:
        """An actor has threads that don't come back."""
        self.logger.warning(
            "The actor %s is replaced after its present shards: %d of its decoding threads hang", worker.name, n
        )

    def _warn(self, text: str, error: Exception) -> None:
        said = " ".join(str(error).split())  # Ray's have many lines
        said = said if len(said) <= MOST_CHARACTERS else f"{said[:MOST_CHARACTERS]} ..."
        self.logger.warning("%s. %s: %s", text, type(error).__name__.lstrip("_"), said)
