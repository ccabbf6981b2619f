import os
import sys
import time
from pathlib import Path

import psutil
import pytest
import ray

from dfd_core.errors import EvaluationError, RunCancelledError
from tasks import cancelling, jobs
from tasks.jobs import run_jobs

pytestmark = pytest.mark.usefixtures("ray_open")
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import test modules


def double(shared, job):
    if job < 0:
        raise EvaluationError(f"{job} is negative")
    return shared + 2 * job


def test_jobs_run_in_parallel_and_tell_their_errors():
    found = {}
    errors = run_jobs(double, 100, [1, 2, -3, 4], lambda index, value: found.update({index: value}))
    assert found == {0: 102, 1: 104, 3: 108}
    assert list(errors) == [2]
    assert isinstance(errors[2], EvaluationError)
    assert str(errors[2]) == "-3 is negative"


def sleep(folder, job):
    (Path(folder) / f"{job}-{os.getpid()}").touch()
    time.sleep(0 if job == 0 else 600)


def test_jobs_that_run_are_ended_when_the_run_is_cancelled(tmp_path):
    started = time.monotonic()
    try:
        with pytest.raises(RunCancelledError):
            run_jobs(sleep, str(tmp_path), range(50), lambda *_: cancelling.request())
    finally:
        cancelling.reset()
    assert time.monotonic() - started < 20
    pids = [int(path.name.split("-")[1]) for path in tmp_path.iterdir() if not path.name.startswith("0-")]
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and _sleeps(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(pids) < 49


def test_no_more_jobs_are_in_flight_than_keep_the_cpus_busy(monkeypatch):
    most = 0
    wait = jobs.ray.wait

    def counting(refs, **options):
        nonlocal most
        most = max(most, len(refs))
        return wait(refs, **options)

    monkeypatch.setattr(jobs.ray, "wait", counting)
    found = {}
    assert not run_jobs(double, 0, range(100), lambda index, value: found.update({index: value}))
    assert found == {index: 2 * index for index in range(100)}
    assert most == jobs.MINIMUM_IN_FLIGHT


def _sleeps(pid):
    try:
        return "sleep" in " ".join(psutil.Process(pid).cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
