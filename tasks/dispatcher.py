"""Shards of a plan on actors of a Ray cluster that may lose any of its processes and nodes at any time.

The dispatcher keeps three shards on every actor: one is being prepared, one computed, one written. Where fewer are left
they are dealt out evenly, with a share kept for actors that are still starting, and the last only to who is idle. It
counts attempts per shard and writes off one that failed them all, replaces actors that die or hang, uses nodes that
join, and counts an actor only once it says it is ready. What a step costs depends on the number of actors, never on the
number of shards.

Three kinds of failure are counted apart, since they say different things. An attempt that raised, died or hung is the
shard's own: after three, elsewhere where there are other places, the shard is quarantined. A store out of reach is no
fault of the shard: it is waited for, and if it stays away the run ends, and nothing is written off. A node that goes
takes its shards along: they go back without blame, unless it happens to one shard so often that the shard may be what
ends the nodes.

Of the shards that a dead actor had, any may be what ended it. The first counts the attempt; all of them come again
carefully, decoded in processes of their own, and alone on their actor, so that none is blamed twice for another.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from dfd_core.errors import (
    DfdError,
    StoreError,
    StoreFullError,
    StoreRefusedError,
    WeightsUnreachableError,
)
from dfd_core.features.extraction import ShardReport, find_report, write_off
from dfd_core.features.planning import ExtractionPlan
from dfd_core.features.spec import ExtractionSpec
from dfd_core.statuses import QUARANTINED
from dfd_core.storage import Store
from tasks.actors import ExtractionActor
from tasks.backlog import Backlog
from tasks.cancelling import checkpoint
from tasks.cluster import actor_resources, is_loss_of_node, rooms, start_actor
from tasks.fault_log import LOGGER, FaultLog, Logger
from tasks.hanging import Hanging
from tasks.in_flight import Job, Worker
from tasks.outages import Outages
from tasks.places import Places
from tasks.settings import EngineSettings, apply_defaults

apply_defaults()  # Ray reads its environment when it is imported
import ray  # noqa: E402
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError  # noqa: E402

IN_FLIGHT = 3
GROW_EVERY_S = 5.0
NODE_LOSSES = 10  # after so many, a shard is suspected of ending the nodes


class ShardDispatcher:
    """Runs the shards of a plan on actors.

    Args:
        store: Where the files go.
        plan: What is missing.
        spec: How to extract.
        settings: Actors and their resources.
        on_shard: Called with each report as it comes.
        logger: Gets a line on every fault when it happens.
    """

    actor_class: type = ExtractionActor

    def __init__(
        self,
        store: Store,
        plan: ExtractionPlan,
        spec: ExtractionSpec,
        settings: EngineSettings,
        on_shard: Callable[[ShardReport], None],
        logger: Logger = LOGGER,
    ) -> None:
        self.store, self.plan, self.spec, self.settings, self.on_shard = store, plan, spec, settings, on_shard
        self.faults = FaultLog(logger, settings.shard_attempts)
        self.outages = Outages(settings.outage_wait_s, self.faults)
        self.backlog = Backlog(plan.shards)
        self.workers: list[Worker] = []
        self.worker_of: dict[Any, Worker] = {}
        self.in_flight = 0
        self.hanging = Hanging(settings)
        self.places = Places(self.faults)
        self.grow_at_s = time.monotonic()
        self.reports: list[ShardReport] = []

    @property
    def todo(self) -> int:
        """Shards that no actor has now and that have no report."""
        return len(self.backlog)

    def run(self) -> list[ShardReport]:
        """Every shard's report; those that failed every attempt are written off with the status `quarantined`.

        Whatever ends it, no actor outlives it. Finished shards are in the store then.

        Raises:
            EngineError: The cluster has no room for an actor, or nowhere does one become ready.
            RunCancelledError: Somebody asked the run to stop.
            StoreError: The store, or where the images are, can't be reached or is full.
        """
        resources = actor_resources(self.settings)
        for feature_set in self.plan.feature_sets:
            self.store.sweep(feature_set.folder)
        try:
            while self.todo or self.in_flight:
                checkpoint()
                if not self.outages.left_s():
                    self._assign()
                if time.monotonic() >= self.grow_at_s or not self.workers:
                    self._grow(resources)
                    self.grow_at_s = time.monotonic() + GROW_EVERY_S
                    self.places.see_that_somebody_works(self.workers)
                for ref in self._answered():
                    self._collect(ref)
                self._see_that_nobody_hangs()
        finally:
            for worker in list(self.workers):
                self._dismiss(worker)
        return self.reports

    def _grow(self, resources: dict[str, float]) -> None:
        if not self.todo:
            return
        working = [worker for worker in self.workers if not worker.parked]
        have = rooms(resources)
        room = self.places.room(have, working)
        if not working and not room and any(have.values()):
            self.places.reopen()
            for worker in list(self.workers):  # those that kept a place
                self._dismiss(worker)
        useful = sum(bool(worker.given) for worker in working) + self.todo
        wanted = min(self.settings.actors or useful, useful, room)
        threads = max(1, int(resources["num_cpus"]))
        arguments = (self.store, self.plan.feature_sets, self.spec, threads)
        calls = IN_FLIGHT + 2  # and those that ask whether it is alive
        for _ in range(len(working), wanted):
            actor = start_actor(self.actor_class, arguments, calls, resources)
            worker = Worker(actor, actor.where.remote())
            self.workers.append(worker)
            self.worker_of[worker.ready] = worker

    def _came_up(self, worker: Worker, value: Any) -> None:
        """An actor said where it is, or that it is ready."""
        del self.worker_of[worker.ready]
        if worker.place is not None:
            worker.is_ready, worker.name = True, value
            self.places.is_ready(worker.place)
            return
        worker.place = value
        if self.places.is_left_out(value):
            worker.parked = True
            self.grow_at_s = 0.0
        else:
            worker.ready = worker.actor.ready.remote()
            self.worker_of[worker.ready] = worker

    def _did_not_come_up(self, worker: Worker, cause: Exception) -> None:
        if isinstance(cause, DfdError) and not isinstance(cause, StoreError | WeightsUnreachableError):
            raise cause  # it would be the same everywhere
        self._dismiss(worker)
        self.faults.did_not_start(str(worker.place), cause)
        self.places.failed_to_start(worker, cause)

    def _assign(self) -> None:
        others = sum(not worker.leaving for worker in self.workers) - 1  # those that are still starting among them
        for depth in range(1, IN_FLIGHT + 1):
            for worker in self.workers:
                # what an actor has can't be taken back, so each other could still get as many before it gets one more
                enough = self.todo > (depth - 1) * others
                if enough and worker.takes(depth) and (job := self.backlog.next(worker, self.workers)):
                    self._give(worker, job)
        if not self.todo:  # who has nothing left makes room for others, and can't die unnoticed
            for worker in [one for one in self.workers if not one.given]:
                self._dismiss(worker)

    def _give(self, worker: Worker, job: Job) -> None:
        if job.careful:
            self.faults.comes_carefully(job)
        ref = worker.actor.extract.remote(job.shard, job.careful)
        if not worker.given:
            worker.since_s = time.monotonic()
        worker.given[ref] = job
        self.worker_of[ref] = worker
        self.in_flight += 1

    def _answered(self) -> list[Any]:
        """What is there now; waits for a second at most."""
        refs = list(self.worker_of)
        if not refs:
            time.sleep(min(self.outages.left_s() or 1.0, 1.0))
            return []
        done: list[Any] = ray.wait(refs, num_returns=1, timeout=1.0)[0]
        if done and len(refs) > IN_FLIGHT:
            done = ray.wait(refs, num_returns=len(refs), timeout=0)[0]
        return done

    def _collect(self, ref: Any) -> None:
        worker = self.worker_of.get(ref)
        if worker is None:
            return  # its worker was dismissed since
        try:
            value = ray.get(ref)
        except RayTaskError as error:
            cause = getattr(error, "cause", None) or error
            self._raised(worker, ref, cause)
            return
        except ActorUnavailableError as error:
            if ref == worker.probe:
                self._bury(worker, error)
            else:
                self._probe(worker, ref)
            return
        except RayError as error:
            self._bury(worker, error)
            return
        if ref == worker.probe:
            self._bury(worker, ActorUnavailableError("the connection to the actor was lost", None))
        elif ref == worker.pulse:
            del self.worker_of[ref]
            worker.pulse = None
        elif ref == worker.ready:
            self._came_up(worker, value)
        else:
            self._take_back(worker, ref)
            self._finished(worker, value)

    def _raised(self, worker: Worker, ref: Any, cause: Exception) -> None:
        if ref == worker.ready:
            self._did_not_come_up(worker, cause)
            return
        job = self._take_back(worker, ref)
        if not isinstance(cause, StoreError):
            self._retire(worker)  # what is broken may be the actor or its GPU: the next attempt is made elsewhere
            self._blame(worker, job, cause)
        self._failed(job, cause)

    def _finished(self, worker: Worker, report: ShardReport) -> None:
        self._report(report)
        self.places.works(worker)
        self.outages.got_through()
        if report.stuck_threads and not worker.leaving:
            worker.leaving = True
            self.faults.threads_hang(worker, report.stuck_threads)
        if worker.leaving and not worker.given:
            self._dismiss(worker)

    def _probe(self, worker: Worker, ref: Any) -> None:
        """Ray lost the connection to an actor and does not say whether it died, or its node: another call will tell."""
        del self.worker_of[ref]
        if worker.probe is None:
            worker.probe = worker.actor.alive.remote()
            self.worker_of[worker.probe] = worker

    def _see_that_nobody_hangs(self) -> None:
        for worker in list(self.workers):
            if error := self.hanging.verdict(worker):
                self._bury(worker, error)
            elif self.hanging.ask_if_overdue(worker, worker.actor.alive.remote):
                self.worker_of[worker.pulse] = worker

    def _take_back(self, worker: Worker, ref: Any) -> Job:
        self.worker_of.pop(ref, None)
        self.in_flight -= 1
        now = time.monotonic()
        worker.longest_s, worker.since_s = max(worker.longest_s, now - worker.since_s), now
        return worker.given.pop(ref)

    def _dismiss(self, worker: Worker) -> list[Job]:
        """Ends an actor; returns the shards that it had."""
        self.workers.remove(worker)
        self.grow_at_s = 0.0
        for ref in (worker.ready, worker.probe, worker.pulse):
            self.worker_of.pop(ref, None)
        jobs = [self._take_back(worker, ref) for ref in list(worker.given)]
        with contextlib.suppress(RayError, RuntimeError):  # the cluster itself may be gone
            ray.kill(worker.actor)
        return jobs

    def _retire(self, worker: Worker) -> None:
        """Ends an actor; what it was given goes back."""
        self.backlog.give_back(self._unfinished(self._dismiss(worker)))

    def _bury(self, worker: Worker, error: Exception) -> None:
        """An actor died or stopped responding: the first shard that it has not finished counts an attempt, no other."""
        lost = is_loss_of_node(error)
        jobs = self._unfinished(self._dismiss(worker))
        self.faults.actor_lost(worker, jobs, error, with_node=lost)
        if jobs:
            first, *others = jobs
            for job in others:
                job.careful |= not lost
            self.backlog.give_back(others)
            first.node_losses += lost
            if lost and first.node_losses < NODE_LOSSES:
                self.backlog.give_back([first])
            else:
                self._blame(worker, first, error)
                first.careful = True
                self._failed(first, error)
        if not worker.is_ready and not lost:
            self.places.failed_to_start(worker, error)

    def _blame(self, worker: Worker, job: Job, error: Exception) -> None:
        """Notes where an attempt failed; the place counts it unless the shard, which may be to blame, failed before."""
        if not job.failures and not job.careful:
            self.places.failed_at_work(worker, error)
        job.failed_at.add(worker.place)

    def _unfinished(self, jobs: list[Job]) -> list[Job]:
        """Reports the shards whose files are in the store: an answer can die with its actor. Returns the others."""
        unfinished = []
        for job in jobs:
            try:
                report = find_report(self.store, job.shard)
            except StoreError:
                report = None  # computed again; if the store stays away, that will say so
            if report is None:
                unfinished.append(job)
            else:
                self._report(report)
        return unfinished

    def _failed(self, job: Job, cause: Exception) -> None:
        """An attempt failed. The shard comes again, or is written off, or the store's error ends the run."""
        if isinstance(cause, StoreFullError | StoreRefusedError):
            raise cause
        if isinstance(cause, StoreError):
            self.outages.met(job, cause)
            self.backlog.give_back([job])  # next, or every other shard would wait for the same store first
            return
        job.failures += 1
        self.faults.attempt_failed(job, cause)
        if job.failures < self.settings.shard_attempts:
            self.backlog.put_last(job)
            return
        last_line = (str(cause).strip().splitlines() or [""])[-1]
        reason = f"{job.shard.name} failed {job.failures} times, the last with: {type(cause).__name__}: {last_line}"
        self._report(write_off(self.store, job.shard, QUARANTINED, reason))

    def _report(self, report: ShardReport) -> None:
        self.reports.append(report)
        self.on_shard(report)
