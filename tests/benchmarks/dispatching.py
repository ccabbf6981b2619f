"""What the dispatcher costs a shard, on the driver: against a plain Ray loop, and at ten times as many shards.

    python tests/benchmarks/dispatching.py [--shards 50000]

The dispatcher is the real one; its two actors answer at once, so nothing is measured but handing out and collecting.
The reference hands the same shards to the same actors with Ray alone, as many in flight, and knows neither attempts nor
time limits nor nodes. CPU time is the driver's process with all of Ray's threads in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tasks.settings import EngineSettings, apply_defaults

apply_defaults()
import ray  # noqa: E402

from dfd_core.augmentations import AUGMENTATIONS  # noqa: E402
from dfd_core.backbones import BackboneSpec, resolve  # noqa: E402
from dfd_core.features.extraction import ShardReport  # noqa: E402
from dfd_core.features.planning import ExtractionPlan, Shard  # noqa: E402
from dfd_core.features.sets import FeatureSet  # noqa: E402
from dfd_core.features.spec import ExtractionSpec  # noqa: E402
from dfd_core.storage import Store  # noqa: E402
from dfd_core.throughput import Measurement  # noqa: E402
from tasks.actors import ExtractionActor  # noqa: E402
from tasks.cluster import ray_session  # noqa: E402
from tasks.dispatcher import IN_FLIGHT, ShardDispatcher  # noqa: E402

ACTORS = 2
IMAGES = 32


class StubActor(ExtractionActor):
    """Answers at once."""

    def ready(self) -> str:
        return self.name

    def extract(self, shard: Shard, careful: bool) -> ShardReport:
        return ShardReport(shard.name, shard.targets[0].dataset, len(shard), {}, worker=self.name)


class StubDispatcher(ShardDispatcher):
    """The dispatcher with actors that answer at once."""

    actor_class = StubActor


@dataclass
class Cost:
    """Of one shard, in milliseconds of the driver."""

    wall_ms: float
    cpu_ms: float


def make_plan(n: int) -> ExtractionPlan:
    """A plan of `n` shards of 32 images that exist nowhere."""
    feature_set = FeatureSet(
        dataset="stub", augmentation=AUGMENTATIONS["none"], backbone=resolve(BackboneSpec(name="spectrum"))
    )
    samples = tuple((f"{index:064x}", f"/images/{index}.png") for index in range(IMAGES))
    shards = tuple(Shard(f"shard-{index:016x}", samples, (feature_set,)) for index in range(n))
    return ExtractionPlan((feature_set,), shards, {}, {feature_set.folder: n * IMAGES})


def dispatch(store: Store, plan: ExtractionPlan) -> Cost:
    """The dispatcher; its clock starts with the first report, since actors take a second to start."""
    began: list[tuple[float, float]] = []

    def on_shard(_: ShardReport) -> None:
        if not began:
            began.append((time.perf_counter(), time.process_time()))

    settings = EngineSettings(actors=ACTORS, gpus_per_actor=0)
    reports = StubDispatcher(store, plan, ExtractionSpec(), settings, on_shard).run()
    cost = _since(*began[0], len(plan.shards))
    if sorted(report.shard for report in reports) != [shard.name for shard in plan.shards]:
        raise AssertionError("a shard is missing or has two reports")
    return cost


def plain_loop(store: Store, plan: ExtractionPlan) -> Cost:
    """The same shards through two actors by `ray.wait` alone."""
    remote: Any = ray.remote(StubActor)
    actors = [remote.options(num_cpus=1).remote(store, plan.feature_sets, ExtractionSpec(), 1) for _ in range(ACTORS)]
    ray.get([actor.ready.remote() for actor in actors])
    began = time.perf_counter(), time.process_time()
    todo, actor_of, reports = deque(plan.shards), {}, []
    for actor in actors * IN_FLIGHT:
        actor_of[actor.extract.remote(todo.popleft(), False)] = actor
    while actor_of:
        for ref in ray.wait(list(actor_of), num_returns=1)[0]:
            reports.append(ray.get(ref))
            actor = actor_of.pop(ref)
            if todo:
                actor_of[actor.extract.remote(todo.popleft(), False)] = actor
    cost = _since(*began, len(reports))
    for actor in actors:
        ray.kill(actor)
    return cost


def _since(wall: float, cpu: float, n: int) -> Cost:
    return Cost((time.perf_counter() - wall) / n * 1000, (time.process_time() - cpu) / n * 1000)


@contextmanager
def _session() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder, ray_session(EngineSettings.from_environment()):
        yield Store(folder)


def measure(shards: int = 50_000) -> list[Measurement]:
    """Two lines: a shard against a plain loop, and a shard of many against a shard of a tenth as many.

    `reference` and `ours` are CPU-milliseconds of the driver a shard, `ratio` is reference / ours.
    """

    def both(run: Callable[[Store, ExtractionPlan], Cost], n: int) -> Cost:
        with _session() as store:
            return run(store, make_plan(n))

    plain, many, few = both(plain_loop, shards // 10), both(dispatch, shards), both(dispatch, shards // 10)
    return [
        _line("driver CPU-ms a shard: dispatcher / plain Ray loop", plain, few, 0.67),
        _line(f"driver CPU-ms a shard: {shards:,} / {shards // 10:,} shards", few, many, 0.83),
    ]


def _line(name: str, reference: Cost, ours: Cost, goal: float) -> Measurement:
    details = {"reference_wall_ms": reference.wall_ms, "ours_wall_ms": ours.wall_ms}
    ratio = reference.cpu_ms / ours.cpu_ms
    return Measurement(name, reference.cpu_ms, ours.cpu_ms, ratio, goal, details=details)


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=50_000)
    for one in measure(parser.parse_args().shards):
        print(one.as_json())


if __name__ == "__main__":
    main()
