"""A store that goes away in the middle of a run, and comes back."""

import contextlib
import os
import subprocess
import time

import fsspec
import pyarrow as pa
import pytest

from dfd_core.errors import StoreError
from dfd_core.features.files import read_statuses
from dfd_core.storage import Store


def mount(folder, *options):
    return subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk():
    """Makes a folder a disk of its own."""
    mounted = []

    def make(folder):
        folder.mkdir()
        if not mount(folder, "-t", "tmpfs", "-o", "size=64m", "tmpfs"):
            pytest.skip("no disk can be mounted here")
        mounted.append(folder)

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def away(extraction, forwarder):
    """The store can't be used: the way to the bucket is cut, the folder's disk unmounted or made read-only."""
    store = extraction.folder / "store"
    if store.is_mount():
        mount(store, "-o", "remount,ro")
        try:
            yield
        finally:
            mount(store, "-o", "remount,rw")
    elif "://" in extraction.config.store:
        forwarder.cut()
        try:
            yield
        finally:
            forwarder.start()
    else:
        store.rename(store.with_name("elsewhere"))
        yield
        assert not store.exists()
        store.with_name("elsewhere").rename(store)


STORES = ["disk", "read-only disk", "s3"] + ["webdav"] * ("DFD_TEST_ROUNDS" in os.environ)  # with `make faults`


@pytest.mark.parametrize("on", STORES)
def test_a_store_that_goes_away_ends_the_run_with_its_name_and_the_same_command_goes_on(
    on, cluster, s3, webdav, new_extraction, disk
):
    cluster.ensure(2)
    extraction = new_extraction("run", on if on in {"s3", "webdav"} else "disk", pace_s=0.3)
    if on == "read-only disk":
        disk(extraction.folder / "store")
    extraction.start(DFD_OUTAGE_WAIT_S="0.05")
    extraction.await_events("report", 4)
    with away(extraction, webdav if on == "webdav" else s3):
        assert extraction.finish(120) == 3
        kind = "StoreRefusedError" if on == "read-only disk" else "StoreError"
        assert f"{kind}: " in extraction.output()
        assert extraction.config.store.removeprefix("s3://") in extraction.output()
        assert ("Read-only file system" in extraction.output()) == (on == "read-only disk")
    assert not extraction.events("done")
    store = Store(extraction.config.store)
    folders = {target for event in extraction.events("start") for target in event["targets"]}
    before = {folder: read_statuses(store, folder) for folder in folders}
    assert all(set(statuses.values()) == {"ok"} for statuses in before.values())
    assert all(16 <= len(statuses) < 96 for statuses in before.values())

    finished_starts = len(extraction.events("start"))
    extraction.start()
    assert extraction.finish() == 0, extraction.output()
    assert len(folders) == 2
    for folder in folders:
        assert list(read_statuses(store, folder).values()) == ["ok"] * 96
        begun_anew = {
            sample
            for event in extraction.events("start")[finished_starts:]
            if folder in event["targets"]
            for sample in event["samples"]
        }
        assert begun_anew == read_statuses(store, folder).keys() - before[folder].keys()


@pytest.mark.parametrize("on", ["s3", "webdav"])
def test_a_short_outage_is_waited_out(on, cluster, s3, webdav, new_extraction):
    cluster.ensure(2)
    extraction = new_extraction("run", on, pace_s=0.3)
    extraction.start()
    extraction.await_events("report", 4)
    with away(extraction, webdav if on == "webdav" else s3):
        time.sleep(1.0)
    assert extraction.finish() == 0, extraction.output()
    assert len({event["pid"] for event in extraction.events("start")}) == 2
    folders = {target for event in extraction.events("start") for target in event["targets"]}
    for folder in folders:
        assert list(read_statuses(Store(extraction.config.store), folder).values()) == ["ok"] * 96


def test_a_store_sees_at_once_what_another_process_wrote(s3, tmp_path):
    """Clients of buckets cache listings; a store must not, or it would take finished shards for missing ones."""
    store = Store(f"s3://dfd-tests/{tmp_path.name}")
    store.write_table("a/1.parquet", pa.table({"x": [1]}))
    assert store.names("a") == ["1.parquet"]
    assert not store.exists("a/2.parquet")
    other = fsspec.filesystem("s3", skip_instance_cache=True)
    other.pipe_file(f"{store.root}/a/2.parquet", store.read_bytes("a/1.parquet"))
    other.pipe_file(f"{store.root}/a/1.parquet", _larger())
    assert store.exists("a/2.parquet")
    assert store.read_table("a/1.parquet")["x"].to_pylist() == list(range(1000))


def _larger():
    memory = Store("memory://larger")
    memory.write_table("t.parquet", pa.table({"x": list(range(1000))}))
    return memory.read_bytes("t.parquet")


def test_an_unreachable_bucket_is_a_store_error(s3, tmp_path):
    store = Store(f"s3://dfd-tests/{tmp_path.name}")
    store.write_bytes("a", b"1")
    s3.cut()
    try:
        with pytest.raises(StoreError, match=f"Could not read s3://dfd-tests/{tmp_path.name}/a"):
            store.read_bytes("a")
        with pytest.raises(StoreError, match="Could not write"):
            store.write_bytes("b", b"1")
    finally:
        s3.start()
    assert store.read_bytes("a") == b"1"
