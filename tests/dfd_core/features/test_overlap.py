"""Shards overlap: a device that is kept busy goes on while the next shard is decoded and the one before is written.

The device is a torch network that sleeps, so that it is busy without any core; reading and writing sleep too. The
sleeps are long against whatever the machine computes meanwhile.
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
from dfd_core.features.extraction import Extractor
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
    made._module.register_forward_hook(lambda *_: time.sleep(BATCH_S))
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


def idle(reports, wall_s):
    return 1 - sum(report.stages.forward_s for report in reports) / wall_s


def test_a_device_is_idle_for_less_than_a_tenth_of_the_time(make, slow_disk):
    extractor, shards = make()
    started = time.perf_counter()
    reports = list(extractor.extract_all(shards))
    overlapped = idle(reports, time.perf_counter() - started)
    assert [report.shard for report in reports] == [shard.name for shard in shards]
    stages = sum((report.stages for report in reports), Stages())
    assert overlapped <= 0.1
    assert stages.idle_fraction <= overlapped + 0.01
    assert stages.bottleneck == "forward"
    assert stages.write_s >= SHARDS * WRITE_S

    started = time.perf_counter()
    extractor.store = Store(extractor.store.root + "-again")
    alone = [extractor.extract(shard) for shard in shards[:4]]
    assert idle(alone, time.perf_counter() - started) > 0.3  # so that the test can fail


def test_a_store_that_is_slower_than_the_device_is_named_and_holds_no_more_than_a_shard(make, slow_disk, monkeypatch):
    write, at_once = storage._write_local, Counter()

    def slow(*arguments):
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        time.sleep(3 * BATCHES * BATCH_S)
        write(*arguments)
        at_once["now"] -= 1

    monkeypatch.setattr(storage, "_write_local", slow)
    extractor, shards = make(3)
    stages = sum((report.stages for report in extractor.extract_all(shards)), Stages())
    assert stages.bottleneck == "write"
    assert stages.idle_fraction > 0.5
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
    assert sum(report.stages.seconds for report in reports) <= time.perf_counter() - started
    for report in reports:
        assert BATCHES * BATCH_S <= report.stages.forward_s <= report.stages.seconds
        assert report.stages.images == BATCHES * BATCH
