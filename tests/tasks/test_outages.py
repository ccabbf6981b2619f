"""Stores that are out of reach for a while, or for good: nobody is blamed, and the actors stay."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import ray

from dfd_core.errors import StoreError
from dfd_core.features.files import read_statuses
from dfd_core.features.planning import Shard
from dfd_core.storage import Store
from tasks.actors import ExtractionActor
from tasks.fault_log import LOGGER, FaultLog
from tasks.in_flight import Job
from tasks.outages import Outages
from tasks.settings import EngineSettings

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import test modules


class Hiccup(ExtractionActor):
    """Can't reach the store for a second from the first shard on."""

    def extract(self, shard: Shard, careful: bool):
        root = Path(self.extractor.store.root).parent
        with (root / "pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if not (root / "began").exists():
            (root / "began").touch()
        if time.time() < (root / "began").stat().st_mtime + 1.0:
            raise StoreError("Could not write: no route to host")
        return super().extract(shard, careful)


@pytest.mark.usefixtures("ray_open")
def test_a_store_that_is_away_for_a_second_costs_no_actor_and_one_line(extract, run, tmp_path, monkeypatch, caplog):
    config, plan, feature_sets = run
    settings = EngineSettings(actors=2, outage_wait_s=0.4)
    with caplog.at_level("INFO", "dfd"):
        reports = extract(run, settings, Hiccup, monkeypatch)
    assert len(reports) == len(plan.shards)
    for feature_set in feature_sets:
        assert list(read_statuses(Store(config.store), feature_set.folder).values()) == ["ok"] * 24
    assert len(set((tmp_path / "pids").read_text().split())) <= 2
    (away,) = [line for line in caplog.messages if "out of reach" in line]
    assert "it is tried again for 12 s or longer, and the actors wait. StoreError: Could not write" in away
    assert len([line for line in caplog.messages if "The store is back after" in line]) == 1


class StoreAway(ExtractionActor):
    """Dies once and then can't reach the store, always in the same shard."""

    def extract(self, shard: Shard, careful: bool):
        root = Path(self.extractor.store.root).parent
        if shard.name != (root / "poison").read_text():
            return super().extract(shard, careful)
        if not careful:
            os.kill(os.getpid(), signal.SIGKILL)
        raise StoreError("Could not write: no route to host")


@pytest.mark.usefixtures("ray_open")
def test_a_store_out_of_reach_never_quarantines(extract, run, tmp_path, monkeypatch, caplog):
    config, plan, feature_sets = run
    (tmp_path / "poison").write_text(plan.shards[0].name)
    settings = EngineSettings(actors=2, outage_wait_s=0.02)
    with pytest.raises(StoreError, match="no route to host"):
        extract(run, settings, StoreAway, monkeypatch)
    assert any(line.startswith(f"{plan.shards[0].name} met a store out of reach") for line in caplog.messages)
    for feature_set in feature_sets:
        statuses = read_statuses(Store(config.store), feature_set.folder)
        assert set(statuses.values()) <= {"ok"}
        assert not statuses.keys() & {sample_id for sample_id, _ in plan.shards[0].samples}


def test_each_wait_is_longer_and_an_answer_from_before_it_says_nothing():
    outages = Outages(100.0, FaultLog(LOGGER, 3))
    jobs, error = [Job(Shard(f"shard-{n}", (), ())) for n in range(3)], StoreError("away")
    for job in jobs:
        outages.met(job, error)
    assert 99 < outages.left_s() <= 100
    outages.got_through()
    assert outages.began_s is not None
    outages.met(jobs[0], error)
    assert 499 < outages.left_s() <= 500
    outages.met(jobs[1], error)
    outages.met(jobs[0], error)
    assert 2499 < outages.left_s() <= 2500
    outages.met(jobs[1], error)
    with pytest.raises(StoreError, match="away"):
        outages.met(jobs[0], error)
    outages.until_s = 0.0
    outages.got_through()
    assert outages.began_s is None
