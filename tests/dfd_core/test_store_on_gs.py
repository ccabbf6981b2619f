"""Google Cloud Storage as a store and as a source, against an emulator of this machine."""

import io
import os
import pickle
import re
import socket
import subprocess
import sys
import tarfile
import types
import zipfile

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dfd_core import in_process
from dfd_core.config import RunConfig
from dfd_core.datasets import CatalogueSource, inventory
from dfd_core.datasets.downloading import Fetching, download, open_origin
from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import DownloadError, ManifestError, StoreError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

BUCKET = "dfd-tests"
DATA = bytes(range(256)) * 3000
# gcsfs hands bytes to aiohttp, which would rather have a file
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


@pytest.fixture(scope="module")
def emulator():
    """The emulator; the environment tells every process of it, and spares gcsfs looking for a login."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server._api.daemon = True
    with pytest.MonkeyPatch.context() as patch, server:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server._api._httpd.server_address[1]}")
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # asks elsewhere what kind of bucket it is
        patch.setenv("NO_GCE_CHECK", "true")
        patch.setattr("gcsfs.retry.asyncio", types.SimpleNamespace(sleep=_no_wait))
        fsspec.filesystem("gs").clear_instance_cache()
        yield server
        fsspec.filesystem("gs").clear_instance_cache()


async def _no_wait(_seconds):
    return None


@pytest.fixture
def place(emulator, tmp_path):
    """An address that nobody else uses."""
    return f"gs://{BUCKET}/{tmp_path.name}"


def put(url, data):
    """Writes as another process would, of which a store's client knows nothing."""
    fsspec.filesystem("gs", skip_instance_cache=True).pipe_file(url.removeprefix("gs://"), data)


def put_images(url, count=20):
    rng = np.random.default_rng(0)
    for kind in ("real", "fake"):
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
            put(f"{url}/gan1/{kind}/{i:02d}.png", file.getvalue())


def generations(url):
    """Every object, and which writing of it."""
    fs = fsspec.filesystem("gs", skip_instance_cache=True)
    return {name: info["generation"] for name, info in fs.find(url.removeprefix("gs://"), detail=True).items()}


def test_a_store_reads_what_it_and_others_wrote(place):
    store = Store(f"{place}/store")
    assert store.names("a") == []
    assert store.write_bytes("a/b.bin", b"123") == f"{place}/store/a/b.bin"
    assert (store.read_bytes("a/b.bin"), store.exists("a/b.bin"), store.exists("a")) == (b"123", True, True)
    assert not store.exists("a/c.bin")
    put(f"{place}/store/a/c.bin", b"456")
    assert store.exists("a/c.bin")
    assert store.names("a") == ["b.bin", "c.bin"]
    put(f"{place}/store/a/b.bin", b"4567")
    assert store.read_bytes("a/b.bin") == b"4567"
    store.write_table("t.parquet", pa.table({"x": list(range(1000))}), {"seed": 7})
    assert store.read_provenance("t.parquet") == {"seed": 7}
    put(f"{place}/store/t.parquet", store.read_bytes("t.parquet"))
    assert store.read_table("t.parquet")["x"].to_pylist() == list(range(1000))
    assert pickle.loads(pickle.dumps(store)).names("a") == ["b.bin", "c.bin"]
    with pytest.raises(StoreError, match=r"Could not read gs://.*/nowhere: there is no such file"):
        store.read_bytes("nowhere")


def test_a_large_file_is_there_whole_or_not_at_all(place, monkeypatch):
    """What has more than 50 MiB is sent in pieces."""
    store, data = Store(place), os.urandom(2**20) * 51
    with monkeypatch.context() as patch:
        patch.setattr("gcsfs.core.upload_chunk", _broken)
        with pytest.raises(StoreError, match="Could not write"):
            store.write_bytes("large", data)
    assert not store.exists("large")
    assert store.names("") == []
    store.write_bytes("large", data)
    assert store.read_bytes("large") == data


async def _broken(*_, **__):
    raise OSError("the line is dead")


def test_a_whole_run_lives_in_a_bucket_and_the_same_again_writes_nothing(place):
    put_images(f"{place}/images")
    config = RunConfig(
        name="r", store=f"{place}/store", datasets=[{"name": "mine", "folders": f"{place}/images"}],
        split={"train": 0.5, "validation": 0.1, "test": 0.4}, augmentations=["none"], backbones=["spectrum"],
        classifiers=["logistic_regression"], extraction={"shard_size": 16}, shortcut_probe=None,
        evaluation={"bootstrap": {"replicates": 20}},
    )  # fmt: skip
    folder = in_process.run(config)
    store = Store(config.store)
    assert {"index.html", "results.parquet"} <= set(store.names(folder))
    results = store.read_table(f"{folder}/results.parquet").to_pandas()
    assert 16 in set(results["n"].dropna())
    before = generations(f"{place}/store")
    assert in_process.run(config) == folder
    assert generations(f"{place}/store") == before


def test_a_folder_and_a_table_in_a_bucket_are_datasets(place, tmp_path):
    put_images(f"{place}/images", 4)
    store = Store(tmp_path / "store")
    frame = prepare(FolderSource(name="mine", folders=f"{place}/images"), SplitSpec(), store).frame
    assert sorted(frame["url"]) == [f"{place}/images/gan1/{k}/{i:02d}.png" for k in ("fake", "real") for i in range(4)]
    assert set(frame["format"]) == {"PNG"}
    for row in frame.itertuples():
        assert len(read_original(row.url, row.sample_id)) == row.size_bytes
    rows = "".join(f"gan1/{kind}/{i:02d}.png,{kind}\n" for kind in ("real", "fake") for i in range(4))
    put(f"{place}/images/table.csv", f"path,label\n{rows}".encode())
    named = prepare(TableSource(name="named", table=f"{place}/images/table.csv"), SplitSpec(), store).frame
    assert set(named["sample_id"]) == set(frame["sample_id"])
    put(f"{place}/images/gan1/real/00.png", b"another")
    put(f"{place}/images/gan1/real/99.png", b"one more")
    again = prepare(FolderSource(name="mine", folders=f"{place}/images"), SplitSpec(), store).frame
    assert len(again) == 9
    assert set(again["sample_id"]) != set(frame["sample_id"])
    with pytest.raises(ManifestError, match=f"There is no folder {place}/nowhere"):
        prepare(FolderSource(name="other", folders=f"{place}/nowhere"), SplitSpec(), store)


def test_the_command_line_takes_a_bucket(place):
    put_images(f"{place}/images", 4)
    arguments = ["datasets", "add", "mine", "--folder", f"{place}/images", "--store", f"{place}/store"]
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments, "--keep", "--local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{place}/store/cards/mine.yaml"
    assert Store(f"{place}/store").names("manifests")


@pytest.mark.parametrize("in_place", [False, True])
def test_archives_in_a_bucket_are_unpacked_or_read_in_place(in_place, place):
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
    store = Store(place)
    store.write_bytes("by_hand/celeba/reals.tar", tarred.getvalue())
    store.write_bytes("by_hand/celeba/fakes.zip", zipped.getvalue())
    source = CatalogueSource(catalogue="celeba", name="celeba", options={"in_place": in_place})
    frame = prepare(source, SplitSpec(), store).frame
    assert len(frame) == 18
    assert {read_original(row.url, row.sample_id) for row in frame.itertuples()} == {*files.values(), *fakes.values()}
    assert frame["url"].str.startswith("slice://").all() == in_place


def test_a_file_in_a_bucket_is_downloaded_in_parts_of_one_version(place, tmp_path):
    how, seen = Fetching(chunk_bytes=2**16, first_wait_s=0.01), []
    put(f"{place}/a.zip", DATA)
    assert download(open_origin(f"{place}/a.zip"), tmp_path / "a.zip", how=how).size == len(DATA)

    def change(done, _total):
        if done and not seen:
            seen.append(done)
            put(f"{place}/a.zip", DATA[::-1])

    download(open_origin(f"{place}/a.zip"), tmp_path / "b.zip", how=how, progress=change)
    assert seen
    assert (tmp_path / "b.zip").read_bytes() == DATA[::-1]
    with pytest.raises(DownloadError, match="no such file"):
        download(open_origin(f"{place}/z.zip"), tmp_path / "z.zip", how=how)


def test_a_bucket_out_of_reach_is_an_error_with_its_name(place, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    fsspec.filesystem("gs").clear_instance_cache()
    with pytest.raises(StoreError, match=f"Could not read {re.escape(place)}/a"):
        Store(place).read_bytes("a")
    with pytest.raises(StoreError, match="Could not write"):
        Store(place).write_bytes("a", b"1")
    with pytest.raises(StoreError, match=f"Could not read {re.escape(place)}/a.png"):
        read_original(f"{place}/a.png", "0" * 64)
    with pytest.raises(ManifestError, match=f"{re.escape(place)}/images can't be listed"):
        prepare(FolderSource(name="mine", folders=f"{place}/images"), SplitSpec(), Store(tmp_path))
    fsspec.filesystem("gs").clear_instance_cache()


def test_a_bucket_that_is_not_there_is_an_error_with_its_name(emulator):
    store = Store("gs://nosuchbucket99/st")
    with pytest.raises(StoreError, match="Could not list gs://nosuchbucket99/st/by_hand/"):
        inventory.rows(store)
    with pytest.raises(StoreError, match="Could not list gs://nosuchbucket99/st/by_hand/celeba"):
        prepare(CatalogueSource(catalogue="celeba", name="celeba"), SplitSpec(), store)


def test_a_client_that_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "gs", raising=False)
    advice = r"pip install '\.\[gs\]'"
    with pytest.raises(StoreError, match=advice):
        Store("gs://b/x")
    with pytest.raises(ManifestError, match=advice):
        prepare(FolderSource(name="mine", folders="gs://b/x"), SplitSpec(), Store(tmp_path))
    with pytest.raises(DownloadError, match=advice):
        open_origin("gs://b/x.zip")
