"""Who gets how many shards: few are dealt out evenly, also to actors that are not ready yet, many keep all busy."""

import collections
import heapq
import itertools
import sys
import time
from pathlib import Path

import pytest
import ray

from dfd_core.features.extraction import ShardReport
from dfd_core.features.planning import ExtractionPlan, Shard
from dfd_core.features.spec import ExtractionSpec
from dfd_core.storage import Store
from tasks.actors import ExtractionActor
from tasks.dispatcher import IN_FLIGHT, ShardDispatcher
from tasks.in_flight import Worker
from tasks.settings import EngineSettings

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import test modules
ACTORS = 3


class Gathers(ExtractionActor):
    """Starts one after the other and holds its first shard until every actor has one, but not for ever."""

    def __init__(self, store, *rest):
        super().__init__(store, *rest)
        self.root = Path(store.root).parent

    def ready(self):
        time.sleep(self.come("starting"))
        return self.name

    def come(self, what):
        (self.root / what).mkdir(exist_ok=True)
        (self.root / what / self.name.replace("/", "-")).touch()
        return len(list((self.root / what).iterdir()))

    def extract(self, shard, careful):
        with self.computing:
            deadline = time.monotonic() + 15
            while self.come("working") < ACTORS and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.3)
        return ShardReport(shard.name, shard.targets[0].dataset, len(shard), {}, worker=self.name)


@pytest.mark.usefixtures("ray_open")
def test_actors_that_start_later_still_find_work(extract, run, monkeypatch):
    settings = EngineSettings(actors=ACTORS, cpus_per_actor=0.5, gpus_per_actor=0)
    reports = extract(run, settings, Gathers, monkeypatch)
    assert sorted(report.shard for report in reports) == sorted(shard.name for shard in run[1].shards)
    per_actor = collections.Counter(report.worker for report in reports)
    assert len(per_actor) == ACTORS
    assert max(per_actor.values()) <= 3


class Handle:
    """Takes the place of Ray's handle of an actor."""

    def __init__(self):
        self.extract = self

    def remote(self, *_):
        return object()


class Simulated(ShardDispatcher):
    """The real dealing in a time that is only counted: actors get ready, and compute one shard after the other.

    Args:
        n: Shards.
        starts_s: When each actor gets ready.
        paces_s: How long a shard takes on each.
    """

    def __init__(self, n, starts_s, paces_s):
        shards = [Shard(f"shard-{index}", (), ()) for index in range(n)]
        plan = ExtractionPlan((), shards, {}, {})
        super().__init__(Store("memory://dealing"), plan, ExtractionSpec(), EngineSettings(), lambda _: None)
        self.workers = [Worker(Handle(), object()) for _ in starts_s]
        self.events = [(at, index, None) for index, at in enumerate(starts_s)]
        self.pace_s = dict(zip(self.workers, paces_s, strict=True))
        self.all, self.free_at = list(self.workers), dict.fromkeys(self.workers, 0.0)
        self.count, self.now, self.deepest = itertools.count(), 0.0, 0
        self.done = collections.Counter()

    def _give(self, worker, job):
        super()._give(worker, job)
        self.deepest = max(self.deepest, len(worker.given))
        self.free_at[worker] = max(self.now, self.free_at[worker]) + self.pace_s[worker]
        heapq.heappush(self.events, (self.free_at[worker], next(self.count), (worker, next(reversed(worker.given)))))

    def _dismiss(self, worker):
        self.workers.remove(worker)

    def finish(self):
        """Deals until all is done; when that is, and how many shards each actor had."""
        heapq.heapify(self.events)
        while self.events:
            self.now, index, call = heapq.heappop(self.events)
            if call is None:
                self.all[index].is_ready = True
            else:
                worker, ref = call
                self._take_back(worker, ref)
                self.done[self.all.index(worker)] += 1
            self._assign()
            if not self.todo and not self.in_flight:
                return self.now, self.done
        raise AssertionError("work is left and nobody does it")


@pytest.mark.parametrize(
    ("n", "actors", "rounds"), [(8, 8, 1), (9, 8, 2), (16, 8, 2), (20, 8, 3), (64, 21, 4), (64, 40, 2), (5, 2, 3)]
)
@pytest.mark.parametrize("apart_s", [0.0, 0.02])
def test_few_shards_take_no_more_rounds_than_they_must(n, actors, rounds, apart_s):
    ended_s, done = Simulated(n, [apart_s * index for index in range(actors)], [1.0] * actors).finish()
    assert ended_s <= rounds + apart_s * actors
    assert sum(done.values()) == n
    assert len(done) == min(n, actors)


def test_a_slow_actor_does_not_hold_what_others_could_do_at_the_end():
    ended_s, done = Simulated(80, [0.0] * 8, [4.0] + [1.0] * 7).finish()
    assert ended_s <= 80 / (7 + 1 / 4) + 2 * 4.0
    assert done[0] < min(done[index] for index in range(1, 8))


def test_actors_that_never_get_ready_hold_up_nothing():
    ended_s, done = Simulated(20, [0.0, 0.0, 1e9, 1e9], [1.0] * 4).finish()
    assert ended_s == 10
    assert set(done) == {0, 1}


def test_a_long_plan_keeps_every_actor_three_deep_to_near_its_end():
    dealing = Simulated(1000, [0.0] * 4, [1.0] * 4)
    shallow = []
    take_back = dealing._take_back

    def taken_back(worker, ref):
        shallow.append(dealing.todo > 2 * 3 and len(worker.given) < IN_FLIGHT)
        return take_back(worker, ref)

    dealing._take_back = taken_back
    ended_s, _ = dealing.finish()
    assert ended_s == 250
    assert dealing.deepest == IN_FLIGHT
    assert not any(shallow)
