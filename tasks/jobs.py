"""Small jobs that run in parallel on Ray."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from dfd_core.pipeline.engine import Errors, OnResult, Result, Work
from tasks.cancelling import checkpoint
from tasks.settings import apply_defaults

apply_defaults()  # Ray reads its environment when it is imported
import ray  # noqa: E402
from ray.exceptions import RayError, RayTaskError  # noqa: E402

MINIMUM_IN_FLIGHT = 16


def run_jobs(work: Work[Result], shared: Any, jobs: Sequence[Any], on_result: OnResult[Result]) -> Errors:
    """Calls `work(shared, job)` for every job in parallel; `shared` goes to the object store once.

    No more jobs are handed to Ray than keep its CPUs busy, so that the cost of one does not grow with their number.
    Whatever ends this call, a wish to cancel among it, ends the jobs that run.

    Args:
        work: What to call; importable in a worker.
        shared: The first argument of each call.
        jobs: The second.
        on_result: Called with each job's index and result as it comes.

    Returns:
        The errors of jobs that failed, by index.

    Raises:
        RunCancelledError: Somebody asked the run to stop.
    """
    remote = ray.remote(num_cpus=1, max_retries=2)(work)
    handle = ray.put(shared)
    fresh = iter(enumerate(jobs))
    index_of: dict[Any, int] = {}
    errors: Errors = {}
    try:
        while True:
            checkpoint()
            room = max(MINIMUM_IN_FLIGHT, 2 * int(ray.cluster_resources().get("CPU", 0))) - len(index_of)
            for index, job in itertools.islice(fresh, max(room, 0)):
                index_of[remote.remote(handle, job)] = index
            if not index_of:
                return errors
            for ref in ray.wait(list(index_of), num_returns=1, timeout=1.0)[0]:
                index = index_of.pop(ref)
                try:
                    result = ray.get(ref)
                except RayTaskError as error:
                    errors[index] = error.cause if isinstance(error.cause, Exception) else error
                except RayError as error:  # its process died, each time that it was tried
                    errors[index] = error
                else:
                    on_result(index, result)
    finally:
        for ref in index_of:
            ray.cancel(ref, force=True)
