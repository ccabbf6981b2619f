"""The one module that knows Ray: actors that extract, and small jobs that run in parallel.

The dispatcher keeps one shard running and one waiting on every actor. It counts attempts per shard and writes off one
that failed them all, replaces actors that die, uses nodes that join, and counts an actor only once it says it is ready.
"""

from __future__ import annotations

import functools
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dfd_core.errors import DfdError, EngineError, StoreError, StoreFullError
from dfd_core.features.extraction import Extractor, ShardReport, find_report, write_off
from dfd_core.features.planning import ExtractionPlan, Shard
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.statuses import QUARANTINED
from dfd_core.storage import Store
from tasks.cancelling import checkpoint
from tasks.settings import EngineSettings, apply_defaults

apply_defaults()  # Ray reads its environment when it is imported
import ray  # noqa: E402
from ray.exceptions import RayActorError, RayError, RayTaskError  # noqa: E402

IN_FLIGHT = 2
GROW_EVERY_S = 5.0
ACTOR_ATTEMPTS = 3
READY_WITHIN_S = 900.0  # large weights may have to be downloaded first
Result = TypeVar("Result")
_keepers = 0


@contextmanager
def ray_session(settings: EngineSettings) -> Iterator[None]:
    """Connects to the cluster of the settings, or starts Ray on this machine; ends it unless it is kept open."""
    with ray_kept_open():
        if not ray.is_initialized():
            _connect(settings)
        yield


@contextmanager
def ray_kept_open() -> Iterator[None]:
    """Ray that is started inside is ended here and not before, so that several steps share one start."""
    global _keepers  # noqa: PLW0603
    was_open = ray.is_initialized()
    _keepers += 1
    try:
        yield
    finally:
        _keepers -= 1
        if not _keepers and not was_open and ray.is_initialized():
            ray.shutdown()


def _connect(settings: EngineSettings) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "namespace": "dfd"}
    with _signal_handlers_kept():
        try:
            if settings.ray_address:
                ray.init(settings.ray_address, **options)
            else:
                ray.init("local", include_dashboard=False, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EngineError(f"Ray did not start or answer ({settings.ray_address or 'local'}): {error}") from error


class _ExtractionActor:
    """An `Extractor` in a process of its own."""

    def __init__(self, store: Store, plan_sets: Sequence[Any], spec: ExtractionSpec, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        context = ray.get_runtime_context()
        self.name = f"{str(context.get_node_id())[:6]}/{str(context.get_actor_id())[:6]}"
        self.make = functools.partial(Extractor, store, plan_sets, spec, "cuda" if ray.get_gpu_ids() else "cpu")

    def ready(self) -> str:
        """Loads the backbones; here and not in `__init__`, whose errors Ray gives back as text."""
        self.extractor = self.make()
        return self.name

    def extract(self, shard: Shard) -> ShardReport:
        report = self.extractor.extract(shard)
        return ShardReport(**{**vars(report), "worker": self.name})


@dataclass
class _Worker:
    actor: Any
    ready: Any
    is_ready: bool = False
    running: deque[Any] = field(default_factory=deque)


class ShardDispatcher:
    """Runs the shards of a plan on actors.

    Args:
        store: Where the files go.
        plan: What is missing.
        spec: How to extract.
        settings: Actors and their resources.
        on_shard: Called with each report as it comes.
    """

    def __init__(
        self,
        store: Store,
        plan: ExtractionPlan,
        spec: ExtractionSpec,
        settings: EngineSettings,
        on_shard: Callable[[ShardReport], None],
    ) -> None:
        self.store, self.plan, self.spec, self.settings, self.on_shard = store, plan, spec, settings, on_shard
        self.todo: deque[Shard] = deque(plan.shards)
        self.shard_of: dict[Any, Shard] = {}
        self.worker_of: dict[Any, _Worker] = {}
        self.workers: list[_Worker] = []
        self.attempts: Counter[str] = Counter()
        self.last_error: dict[str, str] = {}
        self.actor_failures = 0
        self.last_ready = time.monotonic()
        self.reports: list[ShardReport] = []

    def run(self) -> list[ShardReport]:
        """Every shard's report; those that failed every attempt are written off with the status `quarantined`.

        Raises:
            EngineError: The cluster has no room for an actor, or actors die before they are ready or don't get ready.
            StoreError: The store, or where the images are, can't be reached or is full.
        """
        resources = _actor_resources(self.settings)
        grown = -GROW_EVERY_S
        try:
            while self.todo or self.shard_of:
                checkpoint()
                if time.monotonic() - grown >= GROW_EVERY_S or not self.workers:
                    self._grow(resources)
                    grown = time.monotonic()
                self._assign()
                waiting = [worker.ready for worker in self.workers if not worker.is_ready] + list(self.shard_of)
                self._see_that_somebody_works(waiting)
                if not waiting:
                    time.sleep(1.0)
                    continue
                done, _ = ray.wait(waiting, num_returns=1, timeout=1.0)
                for ref in done:
                    self._collect(ref)
        finally:
            for worker in self.workers:
                ray.kill(worker.actor)
        return self.reports

    def _grow(self, resources: dict[str, float]) -> None:
        left = len(self.todo) + len(self.shard_of)
        wanted = min(self.settings.actors or left, left, _room_for(resources))
        remote: Any = ray.remote(_ExtractionActor)
        while len(self.workers) < wanted:
            threads = max(1, int(resources["num_cpus"]))
            arguments = (self.store, self.plan.feature_sets, self.spec, threads)
            actor = remote.options(max_restarts=0, **resources).remote(*arguments)
            worker = _Worker(actor, actor.ready.remote())
            self.workers.append(worker)
            self.worker_of[worker.ready] = worker

    def _see_that_somebody_works(self, waiting: Sequence[Any]) -> None:
        if any(worker.is_ready for worker in self.workers):
            self.last_ready = time.monotonic()
        elif time.monotonic() - self.last_ready > READY_WITHIN_S:
            raise EngineError(
                f"For {READY_WITHIN_S:.0f} s no extraction actor got ready ({len(waiting)} wait): the cluster's nodes "
                "are gone or busy with other work. What is finished is kept; the same command goes on from there."
            )

    def _assign(self) -> None:
        for depth in range(1, IN_FLIGHT + 1):
            for worker in self.workers:
                if self.todo and worker.is_ready and len(worker.running) < depth:
                    shard = self.todo.popleft()
                    ref = worker.actor.extract.remote(shard)
                    worker.running.append(ref)
                    self.shard_of[ref], self.worker_of[ref] = shard, worker

    def _collect(self, ref: Any) -> None:
        worker = self.worker_of.pop(ref, None)
        if worker is None:
            return
        try:
            value = ray.get(ref)
        except RayActorError as error:
            self._bury(worker, error)
            return
        except RayTaskError as error:
            if ref == worker.ready:
                cause = getattr(error, "cause", None) or error
                raise (
                    cause if isinstance(cause, DfdError) else EngineError(f"An extraction actor failed: {cause}")
                ) from error
            worker.running.remove(ref)
            self._failed(self.shard_of.pop(ref), error)
            return
        if ref == worker.ready:
            worker.is_ready = True
            self.actor_failures = 0
            return
        worker.running.remove(ref)
        self.shard_of.pop(ref)
        self._report(value)

    def _bury(self, worker: _Worker, error: RayActorError) -> None:
        """An actor died: the first shard that it has not finished counts an attempt, one that waited does not."""
        self.workers.remove(worker)
        self.worker_of.pop(worker.ready, None)
        blamed = False
        for ref in worker.running:
            self.worker_of.pop(ref, None)
            shard = self.shard_of.pop(ref)
            report = find_report(self.store, shard)  # its answer may have died with the actor, its files have not
            if report is not None:
                self._report(report)
            elif blamed:
                self.todo.appendleft(shard)
            else:
                blamed = True
                self._failed(shard, error)
        if not worker.is_ready:
            self.actor_failures += 1
            if self.actor_failures >= ACTOR_ATTEMPTS:
                raise EngineError(
                    f"{self.actor_failures} extraction actors died before they were ready: {error}"
                ) from error

    def _failed(self, shard: Shard, error: Exception) -> None:
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, StoreFullError):
            raise cause
        self.attempts[shard.name] += 1
        last_line = (str(cause).strip().splitlines() or [""])[-1]
        self.last_error[shard.name] = f"{type(cause).__name__}: {last_line}"
        if self.attempts[shard.name] < self.settings.shard_attempts:
            self.todo.append(shard)
            return
        if isinstance(cause, StoreError):
            raise cause  # no fault of the shard: the others would fare no better
        reason = f"{shard.name} failed {self.attempts[shard.name]} times, the last with: {self.last_error[shard.name]}"
        self._report(write_off(self.store, shard, QUARANTINED, reason))

    def _report(self, report: ShardReport) -> None:
        self.reports.append(report)
        self.on_shard(report)


def run_jobs(
    function: Callable[..., Result], shared: Any, jobs: Sequence[Any], on_result: Callable[[int, Result], None]
) -> dict[int, Exception]:
    """Calls `function(shared, job)` for every job in parallel; `shared` goes to the object store once.

    Args:
        function: What to call; importable in a worker.
        shared: The first argument of each call.
        jobs: The second.
        on_result: Told each job's index and result as it comes.

    Returns:
        The errors of jobs that failed, by index.
    """
    remote = ray.remote(num_cpus=1, max_retries=2)(function)
    handle = ray.put(shared)
    index_of = {remote.remote(handle, job): index for index, job in enumerate(jobs)}
    waiting, errors = list(index_of), {}
    while waiting:
        checkpoint()
        done, waiting = ray.wait(waiting, num_returns=1, timeout=1.0)
        for ref in done:
            try:
                on_result(index_of[ref], ray.get(ref))
            except RayTaskError as error:
                errors[index_of[ref]] = error.cause if isinstance(error.cause, Exception) else error
            except RayError as error:  # its process died, each time that it was tried
                errors[index_of[ref]] = error
    return errors


def _actor_resources(settings: EngineSettings) -> dict[str, float]:
    cluster = ray.cluster_resources()
    gpus = settings.gpus_per_actor
    if gpus is None:
        gpus = 1.0 if cluster.get("GPU", 0) >= 1 else 0.0
    resources = {"num_cpus": settings.cpus_per_actor, "num_gpus": gpus}
    if _room_for(resources) < 1:
        have = {name: cluster.get(name, 0) for name in ("CPU", "GPU")}
        raise EngineError(
            f"An actor needs {settings.cpus_per_actor:g} CPUs and {gpus:g} GPUs and no node has them: {have}. "
            "Set DFD_CPUS_PER_ACTOR and DFD_GPUS_PER_ACTOR to what a node has."
        )
    return resources


def _room_for(resources: dict[str, float]) -> int:
    """Actors that fit into the nodes that are alive now."""
    room = 0
    for node in ray.nodes():
        if node["Alive"]:
            have = node["Resources"]
            cpus = have.get("CPU", 0) / resources["num_cpus"]
            gpus = have.get("GPU", 0) / resources["num_gpus"] if resources["num_gpus"] else cpus
            room += int(min(cpus, gpus))
    return room


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """`ray.init` replaces the SIGTERM handler, by which Prefect would notice that a run is cancelled."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    on_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers} if on_main_thread else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
