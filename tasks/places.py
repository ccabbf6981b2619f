"""Places on which actors fail: a node, or a GPU of it, that is out of order is left out while others work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dfd_core.errors import DfdError, EngineError
from tasks.fault_log import FaultLog
from tasks.in_flight import Worker

LOGS = "Ray's logs on the actor's node, by default below /tmp/ray/session_latest/logs, may say more."
READY_WITHIN_S = 900.0  # large weights may have to be downloaded first
FAULTS = 3
"""Actors in a row that ended on a place and never finished a shard, after which it is left out."""


class Place(NamedTuple):
    """Where an actor runs.

    Attributes:
        node: Ray's id of the node.
        gpus: The node's GPUs that it has.
    """

    node: str
    gpus: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"node {self.node[:6]}" + (f", GPU {', '.join(self.gpus)}" if self.gpus else "")


class Places:
    """Counts the actors that failed on each place, and says where to start more.

    Only an actor that never finished a shard counts, so that a shard that ends actors is not taken for a fault of the
    place. An actor that Ray starts on a place that is left out stays there without work: it keeps the GPU, so that the
    next comes elsewhere.

    Args:
        faults: Gets a line when a place is left out.
    """

    def __init__(self, faults: FaultLog) -> None:
        self.faults = faults
        self.count: Counter[Place | None] = Counter()
        self.loads: set[Place] = set()
        self.never_ready = 0
        self.last: Exception | None = None
        self.last_ready_s = time.monotonic()

    def failed_to_start(self, worker: Worker, error: Exception) -> None:
        """An actor failed or died before it was ready; where it was is unknown if it died at once."""
        self.never_ready += 1
        if worker.place is not None:
            self.loads.discard(worker.place)
        self._count(worker.place, error)

    def failed_at_work(self, worker: Worker, error: Exception) -> None:
        """An attempt at a shard that had not failed before ended an actor."""
        if not worker.finished:
            self._count(worker.place, error)

    def is_ready(self, place: Place) -> None:
        """An actor has loaded its backbones there."""
        if not self.loads:
            self.faults.logger.info("The first extraction actor has loaded its backbones and begins")
        self.never_ready = 0
        self.loads.add(place)
        self.count.pop(None, None)

    def works(self, worker: Worker) -> None:
        """An actor finished a shard; its first shows that the place is in order."""
        if not worker.finished:
            self.count.pop(worker.place, None)
        worker.finished += 1

    def is_left_out(self, place: Place | None) -> bool:
        """Whether nothing is to be computed there."""
        return self.count[place] >= FAULTS

    def room(self, rooms: Mapping[str, int], workers: Iterable[Worker]) -> int:
        """Actors that there may be.

        Args:
            rooms: How many fit into each node.
            workers: Those that are at work or starting; they stay where they are.
        """
        there = Counter(worker.place.node for worker in workers if worker.place is not None)
        out = [place for place in self.count if place is not None and self.is_left_out(place)]
        room = 0
        for node, most in rooms.items():
            gpus = sum(bool(place.gpus) for place in out if place.node == node)
            closed = self.is_left_out(None) or Place(node) in out
            room += max(0 if closed else most - gpus, there[node])
        return room

    def see_that_somebody_works(self, workers: Sequence[Worker]) -> None:
        """Called every few seconds.

        Raises:
            EngineError: None of these has been ready for long.
        """
        if any(worker.is_ready for worker in workers):
            self.last_ready_s = time.monotonic()
        elif time.monotonic() - self.last_ready_s > READY_WITHIN_S:
            raise EngineError(
                f"For {READY_WITHIN_S:.0f} s no extraction actor became ready ({len(workers)} are waiting): the "
                "cluster's nodes are gone or busy with other work. What is finished is kept; run the same command "
                "again to continue."
            )

    def reopen(self) -> None:
        """Every place is left out: those where actors do get ready are tried again, for the shards may be to blame.

        Raises:
            EngineError: There is none.
        """
        if self.loads:
            self.count.clear()
            return
        if isinstance(self.last, DfdError):
            raise self.last
        raise EngineError(
            f"{self.never_ready} extraction actors failed or died before they were ready, and none works. The last: "
            f"{self.last} {LOGS}"
        ) from self.last

    def _count(self, place: Place | None, error: Exception) -> None:
        self.last = error
        self.count[place] += 1
        if place is not None and self.count[place] == FAULTS:
            self.faults.place_is_left_out(str(place), FAULTS, error)
