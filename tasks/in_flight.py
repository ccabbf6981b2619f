"""What the dispatcher knows of its shards and actors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dfd_core.features.planning import Shard

if TYPE_CHECKING:
    from tasks.places import Place


@dataclass(eq=False)
class Job:
    """A shard and what became of it so far.

    Attributes:
        shard: What is to be computed.
        failures: Attempts that raised, died or hung.
        store_failures: Attempts that met a store out of reach.
        node_losses: Attempts whose node went.
        careful: Whether it may have ended an actor, and is to be decoded in processes of its own.
        failed_at: Where its attempts failed.
    """

    shard: Shard
    failures: int = 0
    store_failures: int = 0
    node_losses: int = 0
    careful: bool = False
    failed_at: set[Place | None] = field(default_factory=set)


@dataclass(eq=False)
class Worker:
    """An actor and the shards that it was given.

    Attributes:
        actor: Ray's handle.
        name: Its node's and its own, once it is ready.
        ready: The call that says where it is, then the one that loads its backbones.
        is_ready: Whether that has come back.
        place: Where it is, once it has said so.
        parked: Whether it only keeps its place from being given out again, and gets nothing.
        finished: How many shards it finished.
        leaving: Whether it finishes what it has and gets no more.
        probe: A second call that tells whether an actor that Ray calls unavailable is dead, and of what.
        given: Its shards by their calls, in the order in which it got them.
        since_s: When the first of them became the oldest, in seconds of the monotonic clock.
        longest_s: The longest that it took to give one back.
        pulse: A call that tells whether it still answers, while one is out.
        asked_s: When that was made, or the last one.
    """

    actor: Any
    ready: Any
    is_ready: bool = False
    name: str = "that was not ready yet"
    place: Place | None = None
    parked: bool = False
    finished: int = 0
    leaving: bool = False
    probe: Any = None
    given: dict[Any, Job] = field(default_factory=dict)
    since_s: float = 0.0
    longest_s: float = 0.0
    pulse: Any = None
    asked_s: float = 0.0

    def takes(self, most: int) -> bool:
        """Whether it may get another shard, if it is to have so many at most."""
        alone = any(job.careful for job in self.given.values())
        return self.is_ready and self.probe is None and not self.leaving and not alone and len(self.given) < most
