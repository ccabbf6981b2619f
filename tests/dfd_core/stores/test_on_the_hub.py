"""What buckets of the hub alone do as stores: its own client and hf_xet, against a hub of this machine."""

import os
import re
import socket
import threading

import fsspec
import numpy as np
import pytest

from dfd_core.datasets import inventory
from dfd_core.datasets.downloading import download, open_origin
from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import DownloadError, ManifestError, StoreError, StoreRefusedError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

PLACE = "hf://buckets/o/n"


def test_a_bucket_by_itself_is_a_store(hub):
    store = Store(PLACE)
    assert store.names("") == []
    store.write_bytes("ä b#1?.bin", b"1")
    assert store.names("") == ["ä b#1?.bin"]
    assert store.read_bytes("ä b#1?.bin") == b"1"


@pytest.mark.parametrize("data", [b"", b"1", b"hello " * 50_000, np.arange(60_001, dtype=np.float32).tobytes()[:-1]])
def test_any_content_comes_back(data, hub):
    store = Store(PLACE)
    store.write_bytes("a", data)
    assert store.read_bytes("a") == data
    assert (store.sizes(""), hub.contents.read(hub.names["a"])) == ({"a": len(data)}, data)
    for start, end in [(0, 3), (2, None), (5, 5), (len(data), None), (-3, None), (None, -2)]:
        assert store.fs.cat_file("buckets/o/n/a", start=start, end=end) == data[start:end]


def test_a_large_file_is_copied_without_a_word_and_folders_go_whole(hub, tmp_path, capfd):
    store = Store(f"{PLACE}/s")
    (tmp_path / "large").write_bytes(os.urandom(2**21))
    store.write_file("a/large", tmp_path / "large")
    store.write_bytes("a/c/d", b"1")
    assert "Processing Files" not in capfd.readouterr().err
    store.fs.rm(store.fs._strip_protocol(store.url("a/c")), recursive=True)
    assert store.sizes("") == {"a/large": 2**21}


def test_a_look_up_and_a_read_are_one_request_each_however_full_the_folder(hub):
    store = Store(f"{PLACE}/store")
    store.write_bytes("a/b", b"1")
    Store(f"{PLACE}/store").exists("a/b")
    hub.asked.clear()
    assert store.exists("a/b")
    assert store.read_bytes("a/b") == b"1"
    assert hub.asked == [("POST", "/api/buckets/o/n/paths-info"), ("GET", "/buckets/o/n/resolve/store/a/b")]


def test_a_file_is_there_whole_or_not_at_all(hub):
    """Its bytes come first, its name last; where the line breaks between them, there is no file."""
    store, data = Store(PLACE), os.urandom(2**20)
    hub.RequestHandlerClass.carry_out, kept = _broken, hub.RequestHandlerClass.carry_out
    try:
        with pytest.raises(StoreError, match="Could not write"):
            store.write_bytes("large", data)
    finally:
        hub.RequestHandlerClass.carry_out = kept
    assert hub.contents.xorbs
    assert not store.exists("large")
    assert store.names("") == []
    store.write_bytes("large", data)
    assert store.read_bytes("large") == data


def _broken(handler, _operation):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def test_many_write_at_once(hub):
    threads = [threading.Thread(target=Store(PLACE).write_bytes, args=(f"{i % 4}/{i}", b"%d" % i)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: hub.contents.read(content) for name, content in hub.names.items()} == {
        f"{i % 4}/{i}": b"%d" % i for i in range(12)
    }


USES = {
    "write": lambda store: store.write_bytes("a/b", b"1"),
    "read": lambda store: store.read_bytes("a/b"),
    "list": lambda store: store.names("a"),
    "look up": lambda store: store.exists("a/b"),
}


@pytest.mark.parametrize("verb", USES)
def test_without_a_login_the_error_says_how_to_log_in(verb, hub, monkeypatch, forget_hub):
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_stranger")
    forget_hub()
    with pytest.raises(StoreRefusedError, match=rf"Could not {verb} {PLACE}/s/a.*401.*`hf auth login`.*HF_TOKEN"):
        USES[verb](Store(f"{PLACE}/s"))


def test_a_token_that_may_only_read_is_refused_when_it_writes(on_hub, monkeypatch, forget_hub):
    on_hub.put("s/a/b", b"1")
    monkeypatch.setenv("HF_TOKEN", "hf_reads")
    forget_hub()
    store = Store(f"{PLACE}/s")
    assert (store.read_bytes("a/b"), store.names("a"), store.exists("a/b")) == (b"1", ["b"], True)
    with pytest.raises(StoreRefusedError, match=r"403.*HF_TOKEN to a token that may read and write it"):
        store.write_bytes("a/c", b"1")


@pytest.mark.parametrize("verb", USES)
def test_a_bucket_that_is_not_there_is_an_error_that_says_how_to_make_it(verb, hub):
    with pytest.raises(StoreError, match="There is no bucket o/other on the hub.*`hf buckets create o/other` makes it"):
        USES[verb](Store("hf://buckets/o/other/s"))


def test_a_source_in_a_bucket_that_is_not_there_is_an_error_with_its_name(hub, tmp_path):
    with pytest.raises(ManifestError, match="There is no bucket o/other on the hub"):
        prepare(FolderSource(name="mine", folders="hf://buckets/o/other"), SplitSpec(), Store(tmp_path))
    with pytest.raises(DownloadError, match="There is no bucket o/other"):
        download(open_origin("hf://buckets/o/other/z.zip"), tmp_path / "z.zip")


def test_by_hand_in_a_bucket_that_is_not_there_is_an_error_with_its_name(hub):
    with pytest.raises(StoreError, match="There is no bucket o/other"):
        inventory.rows(Store("hf://buckets/o/other/s"))


@pytest.mark.parametrize("verb", USES)
@pytest.mark.parametrize("how", ["away", "ill"])
def test_a_hub_out_of_reach_is_an_error_with_the_stores_name(how, verb, hub, monkeypatch, forget_hub):
    if how == "ill":
        hub.refusal = 503
    else:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": f"http://127.0.0.1:{nobody.getsockname()[1]}"})
        forget_hub()
    with pytest.raises(StoreError, match=f"Could not {verb} {re.escape(PLACE)}/s/a"):
        USES[verb](Store(f"{PLACE}/s"))


def test_images_of_a_hub_out_of_reach_are_no_bad_images(hub, tmp_path):
    hub.refusal = 503
    with pytest.raises(StoreError, match=f"Could not read {PLACE}/a.png"):
        read_original(f"{PLACE}/a.png", "0" * 64)
    with pytest.raises(ManifestError, match=f"{PLACE}/images can't be listed"):
        prepare(FolderSource(name="mine", folders=f"{PLACE}/images"), SplitSpec(), Store(tmp_path))
