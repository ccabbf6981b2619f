import contextlib
import dataclasses
import errno
import itertools
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import ray

from dfd_core import in_process, pipeline
from dfd_core.errors import StoreFullError, StoreRefusedError
from dfd_core.features.extraction import Extractor
from dfd_core.features.files import read_features, read_statuses
from dfd_core.features.planning import Shard
from dfd_core.storage import Store, fault_of
from tasks import actors
from tasks.actors import ExtractionActor
from tasks.settings import EngineSettings

pytestmark = pytest.mark.usefixtures("ray_open")
SETTINGS = EngineSettings(actors=2)
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import test modules


def test_actors_compute_what_one_process_computes(extract, run, tmp_path):
    config, plan, feature_sets = run
    reports = extract(run)
    assert sorted(report.shard for report in reports) == sorted(shard.name for shard in plan.shards)
    assert all("/" in report.worker for report in reports)
    here = config.model_copy(update={"store": str(tmp_path / "here")})
    in_process.extract(here, pipeline.find_inputs(here))
    for feature_set in feature_sets:
        a, b = (read_features(Store(one.store), feature_set.folder) for one in (config, here))
        assert a.sample_ids.tolist() == b.sample_ids.tolist()
        assert np.array_equal(a.X, b.X)


class Tells(ExtractionActor):
    """Says when a shard comes to each of its stages; computing and writing take a while."""

    def ready(self):
        name, extractor = super().ready(), self.extractor
        log = Path(extractor.store.root).parent / "stages"
        prefetch, compute = extractor.prefetch, extractor.compute

        def tell(*words):
            with log.open("a") as file:
                file.write(" ".join(words) + "\n")

        def prefetch_and_tell(shard, careful):
            tell("prefetch", shard.name)
            return prefetch(shard, careful)

        def compute_and_tell(prepared):
            tell("compute", prepared.shard.name)
            time.sleep(0.3)
            computed = compute(prepared)
            tell("computed", prepared.shard.name)
            write = computed.write
            computed.write = lambda: (time.sleep(0.2), write(), tell("written", prepared.shard.name))[1]
            return computed

        extractor.prefetch, extractor.compute = prefetch_and_tell, compute_and_tell
        return name


def test_an_actor_prepares_one_shard_ahead_and_writes_while_it_computes(extract, run, tmp_path, monkeypatch):
    plan = run[1]
    extract(run, SETTINGS.model_copy(update={"actors": 1}), Tells, monkeypatch)
    events = [tuple(line.split()) for line in (tmp_path / "stages").read_text().splitlines()]
    at = {event: place for place, event in enumerate(events)}
    order = [name for what, name in events if what == "compute"]
    assert sorted(order) == sorted(shard.name for shard in plan.shards)
    assert [name for what, name in events if what == "prefetch"] == order
    pairs = list(itertools.pairwise(order))
    assert all(at["computed", before] < at["compute", after] for before, after in pairs)
    assert all(at["prefetch", after] > at["compute", before] for before, after in zip(order, order[2:], strict=False))
    assert sum(at["prefetch", after] < at["computed", before] for before, after in pairs) >= 2
    assert sum(at["written", before] > at["compute", after] for before, after in pairs) >= 2


class DiesOnce(ExtractionActor):
    """Kills its process with -9 in the first shard that any actor gets."""

    def extract(self, shard: Shard, careful: bool):
        flag = Path(self.extractor.store.root).parent / "died"
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().extract(shard, careful)


def test_a_dead_actor_is_replaced_and_nothing_is_lost_or_done_twice(extract, run, monkeypatch, caplog):
    config, plan, feature_sets = run
    with caplog.at_level("INFO", "dfd"):
        reports = extract(run, extractor=DiesOnce, monkeypatch=monkeypatch)
    assert len(reports) == len(plan.shards)
    (lost,) = [line for line in caplog.messages if line.startswith("The actor ")]
    (again,) = {line.split()[0] for line in caplog.messages if "failed" in line}
    assert "/" in lost.split()[2]
    assert "died or stopped responding; these shards will be recomputed: shard-" in lost
    assert "ActorDiedError" in lost
    assert again.rstrip(":") in lost
    assert any(f"{again.rstrip(':')}: attempt 1 of 3 failed, it will be" in line for line in caplog.messages)
    assert any("is tried again alone" in line for line in caplog.messages)
    for feature_set in feature_sets:
        assert set(read_statuses(Store(config.store), feature_set.folder).values()) == {"ok"}
        assert len(read_features(Store(config.store), feature_set.folder).X) == 24


class DiesOnOneShard(ExtractionActor):
    """Kills its process with -9 whenever it gets the shard that is named in a file."""

    def extract(self, shard: Shard, careful: bool):
        if shard.name == (Path(self.extractor.store.root).parent / "poison").read_text():
            with (Path(self.extractor.store.root).parent / "attempts").open("a") as file:
                file.write("careful " if careful else "normal ")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().extract(shard, careful)


def test_a_poison_shard_is_given_up_after_three_attempts_and_named(extract, run, tmp_path, monkeypatch):
    config, plan, feature_sets = run
    poison = plan.shards[1]
    (tmp_path / "poison").write_text(poison.name)
    reports = extract(run, extractor=DiesOnOneShard, monkeypatch=monkeypatch)
    first, *careful = (tmp_path / "attempts").read_text().split()
    assert first == "normal"
    assert careful in (
        ["careful"] * 2,
        ["careful"] * 3,
    )  # the first is counted where no other shard was given before it
    (given_up,) = [report for report in reports if report.shard == poison.name]
    assert given_up.failures == {one.folder: {"quarantined": 4} for one in feature_sets}
    for feature_set in feature_sets:
        statuses = read_statuses(Store(config.store), feature_set.folder)
        assert {i for i, s in statuses.items() if s == "quarantined"} == {i for i, _ in poison.samples}
        assert len(statuses) == 24


class DiesAhead(ExtractionActor):
    """Kills its process as soon as it prepares the shard that is named in a file, unless it may be careful."""

    def ready(self):
        name = super().ready()
        poison, prefetch = (Path(self.extractor.store.root).parent / "poison").read_text(), self.extractor.prefetch

        def prefetch_or_die(shard, careful):
            if shard.name == poison and not careful:
                time.sleep(0.5)  # so that the shards before it are computed or waited for
                os.kill(os.getpid(), signal.SIGKILL)
            return prefetch(shard, careful)

        self.extractor.prefetch = prefetch_or_die
        return name


@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_shard_that_kills_while_it_is_prepared_has_no_other_given_up(extract, run, tmp_path, monkeypatch, index):
    config, plan, feature_sets = run
    (tmp_path / "poison").write_text(plan.shards[index].name)
    reports = extract(run, SETTINGS.model_copy(update={"shard_attempts": 2}), DiesAhead, monkeypatch)
    assert len(reports) == len(plan.shards)
    for feature_set in feature_sets:
        assert list(read_statuses(Store(config.store), feature_set.folder).values()) == ["ok"] * 24


class Raises(ExtractionActor):
    """Fails every shard with an exception."""

    def extract(self, shard: Shard, careful: bool):
        raise RuntimeError("no luck")


def test_an_exception_counts_attempts_and_stands_in_the_row(extract, run, monkeypatch, caplog):
    config, plan, feature_sets = run
    shards = [plan.shards[number] for number in range(3)]  # each attempt costs an actor
    few = dataclasses.replace(plan, shards=shards)
    extract((config, few, feature_sets), SETTINGS.model_copy(update={"shard_attempts": 2}), Raises, monkeypatch)
    store, folder = Store(config.store), feature_sets[0].folder
    errors = store.read_table(f"{folder}/{shards[0].name}.parquet")["error"].to_pylist()
    assert all("failed 2 times, the last with: RuntimeError: no luck" in error for error in errors)
    for shard in shards:
        first, second = [line for line in caplog.messages if line.startswith(shard.name)]
        assert first == f"{shard.name}: attempt 1 of 2 failed, it will be tried again. RuntimeError: no luck"
        assert "attempt 2 of 2 failed, it is given up and its images are quarantined. RuntimeError" in second


class Broken(ExtractionActor):
    """The first of its kind fails whatever it is given, at once, as with a GPU that is out of order."""

    def extract(self, shard: Shard, careful: bool):
        flag = Path(self.extractor.store.root).parent / "broken"
        with contextlib.suppress(FileExistsError):
            flag.open("x").close()
            flag.write_text(str(os.getpid()))
        if flag.read_text() in ("", str(os.getpid())):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().extract(shard, careful)


def test_an_actor_that_fails_everything_does_not_get_everything(extract, run, monkeypatch):
    config, plan, feature_sets = run
    reports = extract(run, extractor=Broken, monkeypatch=monkeypatch)
    assert len(reports) == len(plan.shards)
    for feature_set in feature_sets:
        assert set(read_statuses(Store(config.store), feature_set.folder).values()) == {"ok"}


class DiskFull(ExtractionActor):
    """Finds no space."""

    def extract(self, shard: Shard, careful: bool):
        raise StoreFullError("No space left while trying to write")


def test_a_full_disk_ends_the_extraction_at_once(extract, run, monkeypatch):
    with pytest.raises(StoreFullError, match="No space left"):
        extract(run, extractor=DiskFull, monkeypatch=monkeypatch)


class ReadOnly(ExtractionActor):
    """Meets a store that is mounted read-only, and counts how often."""

    def extract(self, shard: Shard, careful: bool):
        with (Path(self.extractor.store.root).parent / "attempts").open("a") as file:
            file.write(f"{shard.name}\n")
        raise fault_of(OSError(errno.EROFS, os.strerror(errno.EROFS)), "write", shard.name)


def test_a_store_that_is_read_only_ends_the_extraction_at_once_and_says_what_to_do(extract, run, tmp_path, monkeypatch):
    settings = SETTINGS.model_copy(update={"actors": 1})
    with pytest.raises(StoreRefusedError, match=r"Read-only file system\. Make it writable .* the same command again"):
        extract(run, settings, ReadOnly, monkeypatch)
    begun = (tmp_path / "attempts").read_text().split()
    assert len(begun) == len(set(begun))


def test_actors_are_gone_afterwards(extract, run, no_actor_is_left):
    extract(run)
    assert no_actor_is_left()


def test_the_extractor_is_the_one_of_the_core():
    assert actors.Extractor is Extractor
