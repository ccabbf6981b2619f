"""Nodes and GPUs that are out of order: they are left out while others work, and cost no shard."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
import ray

from dfd_core.errors import EngineError, WeightsUnreachableError
from dfd_core.features.files import read_statuses
from dfd_core.features.planning import Shard
from dfd_core.storage import Store
from tasks.actors import ExtractionActor
from tasks.fault_log import LOGGER, FaultLog
from tasks.in_flight import Worker
from tasks.places import Place, Places
from tasks.settings import EngineSettings

SETTINGS = EngineSettings(actors=2, shard_attempts=2)
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import test modules


class OnTwoGpus(ExtractionActor):
    """Makes believe that its node has two GPUs; it has the first that no other living actor has."""

    def __init__(self, store, *rest):
        super().__init__(store, *rest)
        self.root, self.gpu = Path(store.root).parent, 0
        while not self.takes():
            self.gpu = 1 - self.gpu
            time.sleep(0.05)

    def takes(self):
        held, own = self.root / f"gpu-{self.gpu}", self.root / f"pid-{os.getpid()}"
        own.write_text(str(os.getpid()))
        with contextlib.suppress(FileNotFoundError):
            if not psutil.pid_exists(int(held.read_text())):
                held.unlink()
        try:
            held.hardlink_to(own)
        except FileExistsError:
            return False
        return True

    def where(self):
        return super().where()._replace(gpus=(str(self.gpu),))

    def note(self, what):
        with (self.root / what).open("a") as file:
            file.write(f"{self.gpu} {os.getpid()}\n")


class DoesNotLoad(OnTwoGpus):
    """The first GPU is out of order."""

    def ready(self):
        self.note("loaded")
        if self.gpu == 0:
            raise RuntimeError("CUDA error: out of memory")
        return super().ready()


def all_is_there(run):
    config, _, feature_sets = run
    for feature_set in feature_sets:
        assert list(read_statuses(Store(config.store), feature_set.folder).values()) == ["ok"] * 24


@pytest.mark.usefixtures("ray_open")
def test_a_gpu_on_which_nothing_loads_is_left_out(extract, run, tmp_path, monkeypatch, caplog):
    extract(run, SETTINGS, DoesNotLoad, monkeypatch)
    all_is_there(run)
    assert sum(line.startswith("0 ") for line in (tmp_path / "loaded").read_text().splitlines()) <= 3
    assert any("failed before it was ready. RuntimeError: CUDA error" in line for line in caplog.messages)


class FailsAllShards(OnTwoGpus):
    """The first GPU loads the networks and fails in every shard; on the second a process dies once that is known."""

    def extract(self, shard: Shard, careful: bool):
        if self.gpu == 0:
            self.note("failed")
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        deadline = time.monotonic() + 30
        while self.failures() < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        if not (self.root / "killed").exists():
            (self.root / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().extract(shard, careful)

    def failures(self):
        return len(set((self.root / "failed").read_text().splitlines())) if (self.root / "failed").exists() else 0


@pytest.mark.usefixtures("ray_open")
def test_a_gpu_that_fails_every_shard_costs_none_and_no_actor_comes_there_again(
    extract, run, tmp_path, monkeypatch, caplog
):
    extract(run, SETTINGS, FailsAllShards, monkeypatch)
    all_is_there(run)
    assert len(set((tmp_path / "failed").read_text().splitlines())) == 3
    assert (tmp_path / "killed").exists()
    assert any("GPU 0 and finished no shard; it is left out" in line for line in caplog.messages)
    assert not [line for line in caplog.messages if "is given up" in line]


class RaisesAtOnce(ExtractionActor):
    """Never gets ready anywhere."""

    def ready(self):
        raise RuntimeError("CUDA driver version is insufficient")


class NoWeights(ExtractionActor):
    """Can't reach its weights."""

    def ready(self):
        raise WeightsUnreachableError("the hub does not answer")


@pytest.mark.usefixtures("ray_open")
@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        (RaisesAtOnce, EngineError, "3 extraction actors failed or died before they were ready.*driver version"),
        (NoWeights, WeightsUnreachableError, "the hub does not answer"),
    ],
)
def test_where_nothing_loads_anywhere_the_extraction_ends(kind, error, says, extract, run, monkeypatch):
    with pytest.raises(error, match=says):
        extract(run, EngineSettings(actors=1), kind, monkeypatch)


def worker(place, finished=0):
    return Worker(None, None, place=place, finished=finished)


def test_places_are_left_out_by_node_and_gpu_and_come_back_when_there_is_no_other(caplog):
    places, broken = Places(FaultLog(LOGGER, 3)), RuntimeError("broken")
    a, b, gpu = Place("a"), Place("b"), Place("c", ("3",))
    for place in (a, gpu):
        places.is_ready(place)
        for _ in range(3):
            places.failed_at_work(worker(place), broken)
    places.failed_at_work(worker(b, finished=1), broken)  # it worked, so the shard may be to blame
    assert [places.is_left_out(place) for place in (a, b, gpu, Place("c", ("0",)))] == [True, False, True, False]
    assert any("3 actors failed on node c, GPU 3 and finished no shard; it is left out" in m for m in caplog.messages)
    rooms = {"a": 4, "b": 4, "c": 8}
    assert places.room(rooms, []) == 4 + 7
    assert places.room(rooms, [worker(a)]) == 1 + 4 + 7  # who is at work there stays
    places.works(worker(a))
    assert not places.is_left_out(a)
    places.reopen()
    assert places.room(rooms, []) == 16


def test_actors_that_die_nobody_knows_where_hold_up_only_new_ones():
    places = Places(FaultLog(LOGGER, 3))
    for _ in range(3):
        places.failed_to_start(worker(None), RuntimeError("killed"))
    assert places.room({"a": 4}, [worker(Place("a"))]) == 1
    with pytest.raises(EngineError, match=r"3 extraction actors .* The last: killed Ray's logs"):
        places.reopen()
    places.is_ready(Place("a"))
    assert places.room({"a": 4}, []) == 4
