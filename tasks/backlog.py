"""Shards that nobody has, in the order in which they are dealt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from dfd_core.features.planning import Shard
from tasks.in_flight import Job, Worker


class Backlog:
    """What is to be dealt: what came back without blame, then what is new, then what failed.

    Args:
        shards: The new ones.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.fresh, self.n_fresh = iter(shards), len(shards)
        self.returned: deque[Job] = deque()
        self.failed: deque[Job] = deque()  # last: what ended one actor may end the next

    def __len__(self) -> int:
        return self.n_fresh + len(self.returned) + len(self.failed)

    def give_back(self, jobs: Sequence[Job]) -> None:
        """These come next, in their order."""
        self.returned.extendleft(reversed(jobs))

    def put_last(self, job: Job) -> None:
        """This one failed and comes again."""
        self.failed.append(job)

    def next(self, worker: Worker, workers: Iterable[Worker]) -> Job | None:
        """The next shard for an actor, if there is one: what is to be careful only where it is alone there."""
        alone = not worker.given
        if self.returned and (alone or not self.returned[0].careful):
            return self.returned.popleft()
        if self.n_fresh:
            self.n_fresh -= 1
            return Job(next(self.fresh))
        for job in self.failed:
            if (alone or not job.careful) and not _is_better_elsewhere(job, worker, workers):
                self.failed.remove(job)
                return job
        return None


def _is_better_elsewhere(job: Job, worker: Worker, workers: Iterable[Worker]) -> bool:
    """Whether an attempt at a shard failed on this actor's place, and there is another that works."""
    return worker.place in job.failed_at and any(
        other.is_ready and not other.leaving and other.place not in job.failed_at for other in workers
    )
