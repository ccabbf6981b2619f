"""Shards overlap: a device that is kept busy goes on while the next shard is decoded and the one before is written.

The device is a torch network that sleeps, so that it is busy without any core; reading and writing sleep too. How
little it stands idle is measured by `tests/benchmarks/overlap.py`.
"""

import contextlib
import itertools
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from dfd_core import storage
from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import load
from dfd_core.errors import StoreError, StoreFullError
from dfd_core.features import preparation
from dfd_core.features.extraction import Computed, Extractor
from dfd_core.features.planning import Shard
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import Stages
from dfd_core.storage import Store

BATCH_S, READ_S, WRITE_S = 0.25, 0.025, 0.2
SHARDS, BATCHES, BATCH = 8, 2, 16


@pytest.fixture
def backbone(tiny_vit):
    """A network that takes as long as a device of its own would."""
    made = load(tiny_vit, "cpu", "torch", BATCH)
    made.work.module.register_forward_hook(lambda *_: time.sleep(BATCH_S))
    return made


@pytest.fixture
def make(tmp_path, images, backbone):
    """Makes an extractor with the sleeping network, and shards that name the ten images again and again."""

    def make(n=SHARDS, name="store"):
        store = Store(tmp_path / name)
        target = FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=backbone.resolved)
        extractor = Extractor(store, [], ExtractionSpec(threads=4))
        extractor.backbones = {backbone.resolved.key(): backbone}
        rows = list(zip(images["sample_id"].to_pylist(), images["url"].to_pylist(), strict=True))
        samples = tuple(rows[index % len(rows)] for index in range(BATCHES * BATCH))
        return extractor, [Shard(f"shard-{index}", samples, (target,)) for index in range(n)]

    return make


@pytest.fixture
def slow_disk(monkeypatch):
    read, write = preparation.read_original, storage._write_local
    monkeypatch.setattr(preparation, "read_original", lambda *one: time.sleep(READ_S) or read(*one))
    monkeypatch.setattr(storage, "_write_local", lambda *one: time.sleep(WRITE_S) or write(*one))


def test_while_a_shard_is_computed_the_next_is_prepared_and_the_one_before_written(make, monkeypatch):
    """Each of the three waits for the other two, so it comes to an end only where all go on at one time."""
    extractor, shards = make(4)
    places = {shard.name: place for place, shard in enumerate(shards)}
    steps = [(step, place) for step in ("prepared", "computing", "written") for place in places.values()]
    happened = {one: threading.Event() for one in steps}
    now = []

    def await_step(step, place):
        one = happened.get((step, place))  # there is none before the first shard and after the last
        assert one is None or one.wait(60), f"shard {place} was never {step}"

    prepare, compute, write = preparation.Preparer._prepare, Extractor.compute, Computed.write
    (backbone,) = extractor.backbones.values()
    forward = backbone._forward

    def prepare_the_next(self, *sample):
        place = places[self.shard.name]
        await_step("computing", place - 1)
        prepared = prepare(self, *sample)
        happened["prepared", place].set()
        return prepared

    def compute_and_note(self, preparer):
        now.append(places[preparer.shard.name])
        return compute(self, preparer)

    def forward_beside_the_others(batch):
        happened["computing", now[-1]].set()
        await_step("prepared", now[-1] + 1)
        await_step("written", now[-1] - 1)
        return forward(batch)

    def write_the_one_before(self):
        place = places[self.shard.name]
        await_step("computing", place + 1)
        report = write(self)
        happened["written", place].set()
        return report

    monkeypatch.setattr(preparation.Preparer, "_prepare", prepare_the_next)
    monkeypatch.setattr(Extractor, "compute", compute_and_note)
    monkeypatch.setattr(Computed, "write", write_the_one_before)
    backbone._forward = forward_beside_the_others
    reports = list(extractor.extract_all(shards))
    assert [report.shard for report in reports] == list(places)
    assert all(one.is_set() for one in happened.values())


def test_seconds_of_writing_are_counted(make, slow_disk):
    extractor, shards = make(3)
    stages = sum((report.stages for report in extractor.extract_all(shards)), Stages())
    assert stages.write_s >= 3 * WRITE_S


def test_a_store_that_is_slower_than_the_device_is_named_and_holds_no_more_than_a_shard(make, monkeypatch):
    write, at_once = storage._write_local, Counter()
    extractor, shards = make(3)
    started = time.perf_counter()

    def slow(*arguments):
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        time.sleep(
            time.perf_counter() - started
        )  # longer than all that was computed until now, however busy the machine
        write(*arguments)
        at_once["now"] -= 1

    monkeypatch.setattr(storage, "_write_local", slow)
    stages = sum((report.stages for report in extractor.extract_all(shards)), Stages())
    assert stages.bottleneck == "write"
    assert stages.idle_fraction > 0
    assert at_once["most"] == 1


def test_only_the_next_shards_first_chunk_is_prepared_ahead(make, monkeypatch):
    extractor, shards = make(4)
    shards = [Shard(shard.name, shard.samples * 3, shard.targets) for shard in shards]
    prepared, ahead = Counter(), []
    prepare = preparation.Preparer._prepare

    def count(self, *sample):
        prepared[self.shard.name] += 1
        return prepare(self, *sample)

    monkeypatch.setattr(preparation.Preparer, "_prepare", count)
    compute = Extractor.compute

    def compute_and_look(self, preparer):
        computed = compute(self, preparer)
        place = [shard.name for shard in shards].index(preparer.shard.name)
        ahead.append([prepared[shard.name] for shard in shards[place + 1 :]])
        return computed

    monkeypatch.setattr(Extractor, "compute", compute_and_look)
    list(extractor.extract_all(shards))
    assert ahead == [[BATCH, 0, 0], [BATCH, 0], [BATCH], []]


@pytest.mark.parametrize(
    ("batch", "samples", "device", "expected"),
    [
        (32, 40, "cpu", 32),  # a quarter of the shard would be ten, and sixteen was the least
        (32, 20, "cpu", 20),
        (1, 40, "cpu", 16),
        (256, 156, "cuda", 156),
        (128, 156, "cuda", 128),
    ],
)
def test_a_chunk_holds_a_whole_batch_whatever_the_shard(make, batch, samples, device, expected):
    extractor, (shard,) = make(1)
    (backbone,) = extractor.backbones.values()
    backbone.batch_size, extractor.device = batch, device
    rows = list(itertools.islice(itertools.cycle(shard.samples), samples))
    with contextlib.closing(extractor.prefetch(replace(shard, samples=tuple(rows)))) as prepared:
        assert len(next(prepared.chunks())[0]) == expected


@pytest.mark.parametrize(("device", "expected"), [("cpu", 20), ("cuda:1", 30)])
def test_before_a_gpu_more_may_stand_ready(make, monkeypatch, device, expected):
    extractor, (shard,) = make(1)
    (backbone,) = extractor.backbones.values()
    backbone.batch_size, extractor.device = 1024, device
    chunk_bytes = 3 * 3 * backbone.resolved.spec.card.input_size**2
    monkeypatch.setattr(preparation, "AHEAD_BYTES", 20 * chunk_bytes)
    monkeypatch.setattr(preparation, "AHEAD_BYTES_ON_GPU", 30 * chunk_bytes)
    with contextlib.closing(extractor.prefetch(shard)) as prepared:
        assert len(next(prepared.chunks())[0]) == expected


def test_a_report_means_that_the_files_are_there_and_a_failed_write_is_that_shards_fault(make, monkeypatch):
    extractor, shards = make(4)
    write = storage._write_local

    def fails(target, data, flush=True):
        if shards[2].name in str(target):
            raise PermissionError(13, "Permission denied")
        write(target, data, flush)

    monkeypatch.setattr(storage, "_write_local", fails)
    (target,) = shards[0].targets
    reports = extractor.extract_all(shards)
    for _ in range(2):
        assert extractor.store.exists(f"{target.folder}/{next(reports).shard}.parquet")
    with pytest.raises(StoreError, match=r"Could not write .*shard-2\.parquet"):
        next(reports)


@pytest.mark.parametrize("how", ["the store is full", "the caller stops", "the network fails"])
def test_whatever_ends_it_leaves_no_thread_and_no_half_shard(make, monkeypatch, how):
    extractor, shards = make(5)
    before = set(threading.enumerate())
    if how == "the store is full":
        monkeypatch.setattr(storage, "_write_local", _no_space)
        with pytest.raises(StoreFullError):
            list(extractor.extract_all(shards))
    elif how == "the network fails":
        (backbone,) = extractor.backbones.values()
        backbone._forward = lambda batch: 1 / 0
        with pytest.raises(ZeroDivisionError):
            list(extractor.extract_all(shards))
    else:
        reports = extractor.extract_all(shards)
        next(reports)
        reports.close()
        (target,) = shards[0].targets
        assert set(extractor.store.names(target.folder)) == {"shard-0.parquet", "shard-1.parquet"}
    assert set(threading.enumerate()) == before


def _no_space(*_):
    raise OSError(28, "No space left on device")


def test_vectors_do_not_depend_on_overlapping(make):
    extractor, shards = make(2, "alone")
    (target,) = shards[0].targets
    for shard in shards:
        extractor.extract(shard)
    together, _ = make(2, "together")
    list(together.extract_all(shards))
    for shard in shards:
        one, other = (store.read_table(shard.path(target)) for store in (extractor.store, together.store))
        assert len(one) == BATCHES * BATCH
        assert one.equals(other)


def test_a_shard_has_its_own_seconds_though_others_are_in_work(make):
    extractor, shards = make(3)
    started = time.perf_counter()
    reports = list(extractor.extract_all(shards))
    assert sum(report.stages.wall_s for report in reports) <= time.perf_counter() - started
    for report in reports:
        assert BATCHES * BATCH_S <= report.stages.forward_s <= report.stages.wall_s
        assert report.stages.images == BATCHES * BATCH
