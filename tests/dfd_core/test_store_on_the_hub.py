"""Buckets of the hub as stores and as sources: its own client and hf_xet, against a hub of this machine."""

import io
import os
import pickle
import re
import runpy
import socket
import subprocess
import sys
import tarfile
import threading
import time
import types
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from huggingface_hub.utils._xet import abort_xet_session
from PIL import Image

from dfd_core import in_process
from dfd_core.config import RunConfig
from dfd_core.datasets import CatalogueSource, inventory
from dfd_core.datasets.downloading import Fetching, download, open_origin
from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import DownloadError, ManifestError, StoreError, StoreRefusedError
from dfd_core.features.reading import read_original
from dfd_core.filesystems.hub import BucketFileSystem
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

Hub = runpy.run_path(str(Path(__file__).with_name("hub_with_buckets.py")))["Hub"]
PLACE = "hf://buckets/o/n"
DATA = bytes(range(256)) * 3000
QUICKLY = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2", "HF_XET_CLIENT_RETRY_BASE_DELAY": "10ms"}


def forget():
    BucketFileSystem.clear_instance_cache()
    abort_xet_session()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub; the environment tells this process and every other of it."""
    server = Hub()
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url})
    there = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_writes", "HF_HOME": str(tmp_path)}
    for name, value in {**there, **QUICKLY}.items():
        monkeypatch.setenv(name, value)
    no_wait = types.SimpleNamespace(sleep=lambda _seconds: None, time=time.time)
    monkeypatch.setattr("huggingface_hub.utils._http.time", no_wait)
    forget()
    yield server
    forget()
    server.close()


def put(url, data):
    """Writes as another process would, of which a store's client knows nothing."""
    BucketFileSystem(skip_instance_cache=True).pipe_file(url.removeprefix("hf://"), data)


def put_images(url, count=20):
    rng = np.random.default_rng(0)
    for kind in ("real", "fake"):
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
            put(f"{url}/gan1/{kind}/{i:02d}.png", file.getvalue())


def test_a_store_reads_what_it_and_others_wrote(hub):
    store = Store(f"{PLACE}/store")
    assert store.names("a") == []
    assert store.sizes("") == {}
    assert store.write_bytes("a/b.bin", b"123") == f"{PLACE}/store/a/b.bin"
    assert (store.read_bytes("a/b.bin"), store.exists("a/b.bin"), store.exists("a")) == (b"123", True, True)
    assert not store.exists("a/c.bin")
    put(f"{PLACE}/store/a/c.bin", b"456")
    put(f"{PLACE}/store/ab/c.bin", b"another folder")
    assert store.exists("a/c.bin")
    assert store.names("a") == ["b.bin", "c.bin"]
    assert store.names("") == ["a", "ab"]
    assert store.sizes("a") == {"b.bin": 3, "c.bin": 3}
    put(f"{PLACE}/store/a/b.bin", b"4567")
    assert store.read_bytes("a/b.bin") == b"4567"
    assert store.sizes("a") == {"b.bin": 4, "c.bin": 3}
    store.write_table("t.parquet", pa.table({"x": list(range(1000))}), {"seed": 7})
    assert store.read_provenance("t.parquet") == {"seed": 7}
    assert store.read_table("t.parquet")["x"].to_pylist() == list(range(1000))
    assert pickle.loads(pickle.dumps(store)).names("a") == ["b.bin", "c.bin"]
    store.remove("a/c.bin")
    store.remove("a/c.bin")
    assert store.names("a") == ["b.bin"]
    assert not store.exists("a/c.bin")
    with pytest.raises(StoreError, match=r"Could not read hf://.*/nowhere: there is no such file"):
        store.read_bytes("nowhere")


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


def test_a_file_of_this_machine_is_copied_and_folders_go_whole(hub, tmp_path):
    store = Store(f"{PLACE}/s")
    (tmp_path / "large").write_bytes(os.urandom(2**21))
    store.fs.put_file(str(tmp_path / "large"), store.fs._strip_protocol(store.url("a b/large")))
    store.write_bytes("a b/c/d", b"1")
    assert store.read_bytes("a b/large") == (tmp_path / "large").read_bytes()
    store.fs.rm(store.fs._strip_protocol(store.url("a b/c")), recursive=True)
    assert store.sizes("") == {"a b/large": 2**21}


def test_many_write_at_once(hub):
    threads = [threading.Thread(target=Store(PLACE).write_bytes, args=(f"{i % 4}/{i}", b"%d" % i)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: hub.contents.read(content) for name, content in hub.names.items()} == {
        f"{i % 4}/{i}": b"%d" % i for i in range(12)
    }


def test_a_whole_run_lives_in_a_bucket_and_the_same_again_writes_nothing(hub, capfd):
    put_images(f"{PLACE}/images")
    config = RunConfig(
        name="r", store=f"{PLACE}/store", datasets=[{"name": "mine", "folders": f"{PLACE}/images"}],
        split={"train": 0.5, "validation": 0.1, "test": 0.4}, augmentations=["none"], backbones=["spectrum"],
        classifiers=["logistic_regression"], extraction={"shard_size": 16}, shortcut_probe=None,
        evaluation={"bootstrap": {"replicates": 20}},
    )  # fmt: skip
    folder = in_process.run(config)
    store = Store(config.store)
    assert {"index.html", "results.parquet"} <= set(store.names(folder))
    results = store.read_table(f"{folder}/results.parquet").to_pandas()
    assert 16 in set(results["n"].dropna())
    before = dict(hub.names)
    hub.asked.clear()
    assert in_process.run(config) == folder
    assert hub.names == before
    assert not [path for _, path in hub.asked if path.endswith(("/batch", "/xet-write-token"))]
    assert "Processing Files" not in capfd.readouterr().err


def test_a_folder_and_a_table_in_a_bucket_are_datasets(hub, tmp_path):
    put_images(f"{PLACE}/images", 4)
    store = Store(tmp_path / "store")
    frame = prepare(FolderSource(name="mine", folders=f"{PLACE}/images"), SplitSpec(), store).frame
    assert sorted(frame["url"]) == [f"{PLACE}/images/gan1/{k}/{i:02d}.png" for k in ("fake", "real") for i in range(4)]
    for row in frame.itertuples():
        assert len(read_original(row.url, row.sample_id)) == row.size_bytes
    rows = "".join(f"gan1/{kind}/{i:02d}.png,{kind}\n" for kind in ("real", "fake") for i in range(4))
    put(f"{PLACE}/images/table.csv", f"path,label\n{rows}".encode())
    named = prepare(TableSource(name="named", table=f"{PLACE}/images/table.csv"), SplitSpec(), store).frame
    assert set(named["sample_id"]) == set(frame["sample_id"])
    put(f"{PLACE}/images/gan1/real/00.png", b"another")
    put(f"{PLACE}/images/gan1/real/99.png", b"one more")
    again = prepare(FolderSource(name="mine", folders=f"{PLACE}/images"), SplitSpec(), store).frame
    assert len(again) == 9
    assert set(again["sample_id"]) != set(frame["sample_id"])
    with pytest.raises(ManifestError, match=f"There is no folder {PLACE}/nowhere"):
        prepare(FolderSource(name="other", folders=f"{PLACE}/nowhere"), SplitSpec(), store)
    with pytest.raises(ManifestError, match="There is no bucket o/other on the hub"):
        prepare(FolderSource(name="other", folders="hf://buckets/o/other"), SplitSpec(), store)


@pytest.mark.parametrize("in_place", [False, True])
def test_archives_in_a_bucket_are_unpacked_or_read_in_place(in_place, hub):
    files = {f"img_align_celeba/{i:06d}.jpg": b"\xff\xd8\xff real %d" % i for i in range(9)}
    fakes = {f"fake/stargan/{i}.png": b"\x89PNG fake %d" % i for i in range(9)}
    tarred, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, data in fakes.items():
            archive.writestr(name, data)
    store = Store(f"{PLACE}/store")
    store.write_bytes("by_hand/celeba/reals.tar", tarred.getvalue())
    store.write_bytes("by_hand/celeba/fakes.zip", zipped.getvalue())
    source = CatalogueSource(catalogue="celeba", name="celeba", options={"in_place": in_place})
    frame = prepare(source, SplitSpec(), store).frame
    assert len(frame) == 18
    assert {read_original(row.url, row.sample_id) for row in frame.itertuples()} == {*files.values(), *fakes.values()}
    assert frame["url"].str.startswith("slice://").all() == in_place


def test_a_file_in_a_bucket_is_downloaded_in_parts_of_one_version(hub, tmp_path):
    how, seen = Fetching(chunk_bytes=2**16, first_wait_s=0.01), []
    put(f"{PLACE}/a.zip", DATA)
    assert download(open_origin(f"{PLACE}/a.zip"), tmp_path / "a.zip", how=how).size == len(DATA)

    def change(done, _total):
        if done and not seen:
            seen.append(done)
            put(f"{PLACE}/a.zip", DATA[::-1])

    download(open_origin(f"{PLACE}/a.zip"), tmp_path / "b.zip", how=how, progress=change)
    assert seen
    assert (tmp_path / "b.zip").read_bytes() == DATA[::-1]
    with pytest.raises(DownloadError, match="no such file"):
        download(open_origin(f"{PLACE}/z.zip"), tmp_path / "z.zip", how=how)
    with pytest.raises(DownloadError, match="There is no bucket o/other"):
        download(open_origin("hf://buckets/o/other/z.zip"), tmp_path / "z.zip", how=how)


def test_the_command_line_takes_a_bucket(hub):
    put_images(f"{PLACE}/images", 4)
    arguments = ["datasets", "add", "mine", "--folder", f"{PLACE}/images", "--store", f"{PLACE}/store"]
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments, "--keep", "--local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{PLACE}/store/cards/mine.yaml"
    assert Store(f"{PLACE}/store").names("manifests")


USES = {
    "write": lambda store: store.write_bytes("a/b", b"1"),
    "read": lambda store: store.read_bytes("a/b"),
    "list": lambda store: store.names("a"),
    "look up": lambda store: store.exists("a/b"),
}


@pytest.mark.parametrize("verb", USES)
def test_without_a_login_the_error_says_how_to_log_in(verb, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_stranger")
    forget()
    with pytest.raises(StoreRefusedError, match=rf"Could not {verb} {PLACE}/s/a.*401.*`hf auth login`.*HF_TOKEN"):
        USES[verb](Store(f"{PLACE}/s"))


def test_a_token_that_may_only_read_is_refused_when_it_writes(hub, monkeypatch):
    put(f"{PLACE}/s/a/b", b"1")
    monkeypatch.setenv("HF_TOKEN", "hf_reads")
    forget()
    store = Store(f"{PLACE}/s")
    assert (store.read_bytes("a/b"), store.names("a"), store.exists("a/b")) == (b"1", ["b"], True)
    with pytest.raises(StoreRefusedError, match=r"403.*HF_TOKEN to a token that may read and write it"):
        store.write_bytes("a/c", b"1")


@pytest.mark.parametrize("verb", USES)
def test_a_bucket_that_is_not_there_is_an_error_that_says_how_to_make_it(verb, hub):
    with pytest.raises(StoreError, match="There is no bucket o/other on the hub.*`hf buckets create o/other` makes it"):
        USES[verb](Store("hf://buckets/o/other/s"))


def test_by_hand_in_a_bucket_that_is_not_there_is_an_error_with_its_name(hub):
    with pytest.raises(StoreError, match="There is no bucket o/other"):
        inventory.rows(Store("hf://buckets/o/other/s"))


@pytest.mark.parametrize("verb", USES)
@pytest.mark.parametrize("how", ["away", "ill"])
def test_a_hub_out_of_reach_is_an_error_with_the_stores_name(how, verb, hub, monkeypatch):
    if how == "ill":
        hub.refusal = 503
    else:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": f"http://127.0.0.1:{nobody.getsockname()[1]}"})
        forget()
    with pytest.raises(StoreError, match=f"Could not {verb} {re.escape(PLACE)}/s/a"):
        USES[verb](Store(f"{PLACE}/s"))


def test_images_of_a_hub_out_of_reach_are_no_bad_images(hub, tmp_path):
    hub.refusal = 503
    with pytest.raises(StoreError, match=f"Could not read {PLACE}/a.png"):
        read_original(f"{PLACE}/a.png", "0" * 64)
    with pytest.raises(ManifestError, match=f"{PLACE}/images can't be listed"):
        prepare(FolderSource(name="mine", folders=f"{PLACE}/images"), SplitSpec(), Store(tmp_path))
