"""Actors that hang, or whose threads do: they are replaced, and their shards come again."""

import dataclasses
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import ray

from dfd_core import pipeline
from dfd_core.errors import RunCancelledError
from dfd_core.features.files import read_statuses
from dfd_core.features.planning import Shard
from dfd_core.storage import Store
from tasks import cancelling
from tasks.actors import ExtractionActor
from tasks.dispatcher import IN_FLIGHT, ShardDispatcher
from tasks.settings import EngineSettings

pytestmark = pytest.mark.usefixtures("ray_open")
SETTINGS = EngineSettings(actors=2)
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import test modules


class Hangs(ExtractionActor):
    """Stops its process in the shard that is named in a file, unless it may be careful."""

    def extract(self, shard: Shard, careful: bool):
        with (Path(self.extractor.store.root).parent / "starts").open("a") as file:
            file.write(f"{shard.name} {careful} {os.getpid()}\n")
        if shard.name == (Path(self.extractor.store.root).parent / "poison").read_text() and not careful:
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().extract(shard, careful)


def test_a_shard_that_hangs_costs_its_actor_and_comes_again_carefully(extract, run, tmp_path, monkeypatch):
    config, plan, feature_sets = run
    poison = plan.shards[0].name
    (tmp_path / "poison").write_text(poison)
    reports = extract(run, SETTINGS.model_copy(update={"shard_timeout_s": 6.0}), Hangs, monkeypatch)
    assert len(reports) == len(plan.shards)
    starts = [line.split() for line in (tmp_path / "starts").read_text().splitlines()]
    assert [careful for name, careful, _ in starts if name == poison] == ["False", "True"]
    again = [(name, careful) for number, (name, careful, _) in enumerate(starts) if name in _names(starts[:number])]
    assert (poison, "True") in again
    # those that stood behind it come again, carefully, since any of them may be to blame; some had not begun
    assert all(careful == "True" for _, careful in again)
    assert len(again) <= sum(careful == "True" for _, careful, _ in starts) <= IN_FLIGHT
    (hung,) = {int(pid) for name, careful, pid in starts if name == poison and careful == "False"}
    deadline = time.monotonic() + 15  # Ray gives a process that does not answer five seconds
    while psutil.pid_exists(hung) and psutil.Process(hung).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for feature_set in feature_sets:
        assert list(read_statuses(Store(config.store), feature_set.folder).values()) == ["ok"] * 24


def test_a_process_that_is_stopped_is_replaced_long_before_the_time_of_its_shard_is_up(
    extract, run, tmp_path, monkeypatch, caplog
):
    config, plan, feature_sets = run
    (tmp_path / "poison").write_text(plan.shards[0].name)
    extract(run, SETTINGS.model_copy(update={"ask_after_s": 3.0}), Hangs, monkeypatch)
    assert any("and its process has not answered for" in line for line in caplog.messages)
    for feature_set in feature_sets:
        assert list(read_statuses(Store(config.store), feature_set.folder).values()) == ["ok"] * 24


class Takes(ExtractionActor):
    """Takes a while for a shard, and says when it is asked whether it lives."""

    def alive(self):
        with (Path(self.extractor.store.root).parent / "asked").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def extract(self, shard: Shard, careful: bool):
        with self.computing:
            time.sleep(1.2)
        return super().extract(shard, careful)


def test_an_actor_that_answers_keeps_its_shard_however_long_it_takes(extract, run, tmp_path, monkeypatch, caplog):
    settings = SETTINGS.model_copy(update={"ask_after_s": 0.5, "shard_attempts": 1})
    reports = extract(run, settings, Takes, monkeypatch)
    assert (tmp_path / "asked").exists()
    assert not any(any(report.failures.values()) for report in reports)


def _names(starts):
    return {name for name, *_ in starts}


class HangsAlways(ExtractionActor):
    """Sleeps in every attempt at the shard that is named in a file."""

    def extract(self, shard: Shard, careful: bool):
        if shard.name == (Path(self.extractor.store.root).parent / "poison").read_text():
            time.sleep(600)
        return super().extract(shard, careful)


def test_a_shard_that_hangs_in_every_attempt_is_given_up_and_says_which_setting_decided(
    extract, run, tmp_path, monkeypatch
):
    config, plan, feature_sets = run
    poison = plan.shards[2]
    (tmp_path / "poison").write_text(poison.name)
    settings = SETTINGS.model_copy(update={"shard_timeout_s": 4.0, "shard_attempts": 2})
    reports = extract(run, settings, HangsAlways, monkeypatch)
    (given_up,) = [report for report in reports if report.failures and any(report.failures.values())]
    assert given_up.shard == poison.name
    (error,) = set(Store(config.store).read_table(poison.path(feature_sets[0]), ["error"])["error"].to_pylist())
    assert "failed 2 times" in error
    assert "no answer within 4 s, which is DFD_SHARD_TIMEOUT_S" in error


class Stuck(ExtractionActor):
    """Has a thread that hangs after the first shard that any actor finishes; none of its others is finished before."""

    def ready(self):
        self.turns = threading.Lock()
        return super().ready()

    def extract(self, shard: Shard, careful: bool):
        root = Path(self.extractor.store.root).parent
        with (root / "starts").open("a") as file:
            file.write(f"{shard.name} {careful} {os.getpid()}\n")
        with self.turns:
            return self.extract_in_turn(shard, careful, root)

    def extract_in_turn(self, shard: Shard, careful: bool, root: Path):
        report = super().extract(shard, careful)
        if (root / "stuck").exists():
            return report
        (root / "stuck").write_text(str(os.getpid()))
        return dataclasses.replace(report, stuck_threads=1)


def test_an_actor_with_stuck_threads_is_replaced_without_blame(extract, run, tmp_path, monkeypatch):
    plan = run[1]
    settings = SETTINGS.model_copy(update={"shard_attempts": 1})  # any blame would quarantine
    reports = extract(run, settings, Stuck, monkeypatch)
    assert sorted(report.shard for report in reports) == sorted(shard.name for shard in plan.shards)
    assert not any(any(report.failures.values()) for report in reports)
    stuck = (tmp_path / "stuck").read_text()
    starts = [line.split() for line in (tmp_path / "starts").read_text().splitlines()]
    assert all(careful == "False" for _, careful, _ in starts)
    assert 1 <= sum(pid == stuck for _, _, pid in starts) <= IN_FLIGHT  # it finishes what it has and gets no more
    assert len(starts) == len(plan.shards)
    assert len({pid for _, _, pid in starts}) >= 2


def test_a_run_that_is_cancelled_ends_its_actors_at_once_and_keeps_what_is_finished(
    run, tmp_path, monkeypatch, no_actor_is_left
):
    config, plan, feature_sets = run
    (tmp_path / "poison").write_text(plan.shards[4].name)
    monkeypatch.setattr(ShardDispatcher, "actor_class", HangsAlways)
    reports = []

    def on_shard(report):
        reports.append(report)
        if len(reports) == 3:
            cancelling.request()

    try:
        with pytest.raises(RunCancelledError):
            ShardDispatcher(Store(config.store), plan, config.extraction, SETTINGS, on_shard).run()
    finally:
        cancelling.reset()
    assert no_actor_is_left()
    assert 3 <= len(reports) < len(plan.shards)
    for feature_set in feature_sets:
        assert len(read_statuses(Store(config.store), feature_set.folder)) >= 12
    store = Store(config.store)
    again = pipeline.plan_features(config, *pipeline.find_inputs(config).open(config))
    assert len(again.shards) <= len(plan.shards) - 3
    finished = {report.shard for report in reports}
    kept = [shard for shard in plan.shards if shard.name in finished]
    assert len(kept) == len(reports)
    assert all(store.exists(shard.path(one)) for shard in kept for one in feature_sets)
