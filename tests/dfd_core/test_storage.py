import errno
import os
import pickle
import time

import pyarrow as pa
import pytest

from dfd_core.errors import StoreError, StoreFullError, StoreRefusedError
from dfd_core.storage import Store, fault_of


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return Store(tmp_path / "store") if request.param == "local" else Store(f"memory://{tmp_path.name}")


def test_what_is_written_is_read(store):
    address = store.write_bytes("a/b.bin", b"123")
    assert address == store.url("a/b.bin")
    assert store.read_bytes("a/b.bin") == b"123"
    store.write_json("a/c.json", {"x": [1, 2]})
    assert store.read_json("a/c.json") == {"x": [1, 2]}
    assert store.names("a") == ["b.bin", "c.json"]
    assert store.names("a", ".json") == ["c.json"]
    assert store.exists("a/b.bin")
    assert not store.exists("a/d")


def test_a_file_of_this_machine_is_copied_and_replaces_what_was_there(store, tmp_path):
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(range(256)) * 10_000)
    store.write_bytes("folder/copy.bin", b"something else")
    assert store.write_file("folder/copy.bin", source) == store.url("folder/copy.bin")
    assert store.read_bytes("folder/copy.bin") == source.read_bytes()
    assert store.names("folder") == ["copy.bin"]


def test_what_is_removed_is_gone_and_may_have_been(store):
    store.write_bytes("a/b.bin", b"123")
    for _ in range(2):
        store.remove("a/b.bin")
        assert not store.exists("a/b.bin")
    with pytest.raises(StoreError, match="not a path inside the store"):
        store.remove("../b.bin")


def test_a_table_keeps_its_provenance(store):
    store.write_table("t.parquet", pa.table({"x": [1, 2]}), {"seed": 7})
    assert store.read_table("t.parquet")["x"].to_pylist() == [1, 2]
    assert store.read_provenance("t.parquet") == {"seed": 7}


def test_a_missing_folder_is_empty(store):
    assert store.names("nowhere") == []


def test_the_sizes_of_all_files_below_a_folder(store):
    store.write_bytes("a/b/c.bin", b"123")
    store.write_bytes("a/d.bin", b"")
    store.write_bytes("ab/e.bin", b"1")
    assert store.sizes("a") == {"b/c.bin": 3, "d.bin": 0}
    assert store.sizes("nowhere") == {}


def test_a_missing_file_is_named(store):
    with pytest.raises(StoreError, match=r"Could not read .*nowhere\.bin: there is no such file"):
        store.read_bytes("nowhere.bin")


@pytest.mark.parametrize("path", ["../outside", "a/../../b", "/etc/passwd"])
def test_no_path_leads_outside(store, path):
    with pytest.raises(StoreError, match="not a path inside the store"):
        store.write_bytes(path, b"x")


def test_broken_files_say_what_to_do(store):
    store.write_bytes("bad.json", b"{")
    with pytest.raises(StoreError, match="not valid JSON.*delete it and run again"):
        store.read_json("bad.json")
    store.write_bytes("bad.parquet", b"PAR1 and no more")
    with pytest.raises(StoreError, match="not a readable Parquet file.*delete it and run again"):
        store.read_table("bad.parquet")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    store = Store(tmp_path)

    def no_space(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StoreFullError, match=r"No space left.*a\.bin.*what is finished is kept"):
        store.write_bytes("a.bin", b"1" * 100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_store_that_may_not_be_written_is_an_error_of_its_own_that_says_what_to_do(tmp_path, monkeypatch, number):
    store = Store(tmp_path)

    def refused(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refused)
    advice = rf"write .*a\.bin: .*{os.strerror(number)}.*writable.*the same command again: what is finished is kept"
    with pytest.raises(StoreRefusedError, match=advice):
        store.write_bytes("a.bin", b"1")
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_says_no_is_known_without_a_number():
    error = fault_of(PermissionError("Access Denied"), "read", "s3://b/x")
    assert isinstance(error, StoreRefusedError)
    assert "Could not read s3://b/x: Access Denied. Make it readable" in str(error)


def test_a_copy_that_a_bucket_refuses_is_the_stores_error(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(b"1")
    store = Store(f"memory://{tmp_path.name}")

    def refused(*_):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(store.fs, "put_file", refused)
    with pytest.raises(StoreRefusedError, match=r"Could not write memory://.*a\.zip: Access Denied\. Make it writable"):
        store.write_file("a.zip", tmp_path / "a.zip")


def test_a_half_written_file_is_never_listed(tmp_path):
    store = Store(tmp_path)
    store.write_bytes("a.bin", b"1")
    (tmp_path / ".partial-0123").write_bytes(b"half")
    assert store.names("") == ["a.bin"]


def test_a_store_crosses_processes_as_its_address(store):
    store.write_bytes("a.bin", b"1")
    assert pickle.loads(pickle.dumps(store)).read_bytes("a.bin") == b"1"


def test_a_protocol_that_nobody_knows_is_named():
    with pytest.raises(StoreError, match="The store 'foo://x' can't be opened: Protocol not known: foo"):
        Store("foo://x")


def test_a_store_whose_disk_is_gone_is_not_made_anew_by_other_processes(tmp_path):
    root = tmp_path / "mounted" / "store"
    fresh = pickle.loads(pickle.dumps(Store(root)))
    fresh.write_bytes("a", b"1")  # nobody had made it yet
    known = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(Store(root)))))
    (tmp_path / "mounted").rename(tmp_path / "unmounted")
    with pytest.raises(StoreError, match=r"The store .*mounted/store is gone, so b/c can't be written"):
        known.write_bytes("b/c", b"1")
    assert not root.exists()
    (tmp_path / "unmounted").rename(tmp_path / "mounted")
    known.write_bytes("b/c", b"1")
    assert known.read_bytes("a") == b"1"


def test_what_killed_processes_left_is_removed_once_it_is_old(tmp_path):
    store = Store(tmp_path)
    store.write_bytes("a/b", b"1")
    old, young = tmp_path / "a" / ".partial-1", tmp_path / "a" / ".partial-2"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 3700,) * 2)
    assert store.sweep("a") == 1
    assert store.sweep("nowhere") == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".partial-2", "b"]
