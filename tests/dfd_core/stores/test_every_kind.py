"""What holds of every store elsewhere, whatever the protocol."""

import io
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dfd_core import in_process
from dfd_core.config import RunConfig
from dfd_core.datasets import CatalogueSource
from dfd_core.datasets.downloading import Fetching, download, open_origin
from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import DownloadError, ManifestError, StoreError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

DATA = bytes(range(256)) * 3000
# gcsfs hands bytes to aiohttp, which would rather have a file
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


def put_images(elsewhere, count=20):
    rng = np.random.default_rng(0)
    for kind in ("real", "fake"):
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
            elsewhere.put(f"images/gan1/{kind}/{i:02d}.png", file.getvalue())


def test_a_store_reads_what_it_and_others_wrote(elsewhere):
    store = Store(f"{elsewhere.url}/store")
    assert store.names("a") == []
    assert not store.exists("a")
    assert store.write_bytes("a/b.bin", b"123") == f"{elsewhere.url}/store/a/b.bin"
    assert store.sizes("nowhere") == {}
    assert (store.read_bytes("a/b.bin"), store.exists("a/b.bin"), store.exists("a")) == (b"123", True, True)
    assert not store.exists("a/c.bin")
    elsewhere.put("store/a/c.bin", b"456")
    elsewhere.put("store/ab/c.bin", b"another folder")
    assert store.exists("a/c.bin")
    assert store.names("a") == ["b.bin", "c.bin"]
    assert store.names("") == ["a", "ab"]
    assert store.sizes("a") == {"b.bin": 3, "c.bin": 3}
    elsewhere.put("store/a/b.bin", b"4567")
    assert store.read_bytes("a/b.bin") == b"4567"
    assert store.sizes("") == {"a/b.bin": 4, "a/c.bin": 3, "ab/c.bin": 14}
    assert pickle.loads(pickle.dumps(store)).names("a") == ["b.bin", "c.bin"]
    store.remove("a/c.bin")
    store.remove("a/c.bin")
    assert store.names("a") == ["b.bin"]
    assert not store.exists("a/c.bin")
    with pytest.raises(StoreError, match=rf"Could not read {re.escape(elsewhere.url)}/store/nowhere: there is no such"):
        store.read_bytes("nowhere")


def test_a_table_keeps_its_provenance_and_its_latest_rows(elsewhere):
    store = Store(f"{elsewhere.url}/store")
    store.write_table("t.parquet", pa.table({"x": [1]}), {"seed": 6})
    assert store.read_table("t.parquet")["x"].to_pylist() == [1]
    store.write_table("u.parquet", pa.table({"x": list(range(1000))}), {"seed": 7})
    elsewhere.put("store/t.parquet", store.read_bytes("u.parquet"))
    assert store.read_provenance("t.parquet") == {"seed": 7}
    assert store.read_table("t.parquet")["x"].to_pylist() == list(range(1000))


def test_a_file_of_this_machine_is_copied(elsewhere, tmp_path):
    store = Store(f"{elsewhere.url}/s")
    (tmp_path / "large").write_bytes(os.urandom(2**21))
    assert store.write_file("a b/large", tmp_path / "large") == store.url("a b/large")
    assert store.read_bytes("a b/large") == (tmp_path / "large").read_bytes()
    assert store.sizes("") == {"a b/large": 2**21}


def test_a_whole_run_lives_there_and_the_same_again_writes_nothing(elsewhere):
    put_images(elsewhere)
    config = RunConfig(
        name="r", store=f"{elsewhere.url}/store", datasets=[{"name": "mine", "folders": f"{elsewhere.url}/images"}],
        split={"train": 0.5, "validation": 0.1, "test": 0.4}, augmentations=["none"], backbones=["spectrum"],
        classifiers=["logistic_regression"], extraction={"shard_size": 16}, shortcut_probe=None,
        evaluation={"bootstrap": {"replicates": 20}},
    )  # fmt: skip
    folder = in_process.run(config)
    store = Store(config.store)
    assert {"index.html", "results.parquet"} <= set(store.names(folder))
    results = store.read_table(f"{folder}/results.parquet").to_pandas()
    assert 16 in set(results["n"].dropna())
    before = elsewhere.stamps()
    assert not [name for name in before if ".partial-" in name]
    assert in_process.run(config) == folder
    assert elsewhere.stamps() == before


def test_a_folder_and_a_table_there_are_datasets(elsewhere, tmp_path):
    put_images(elsewhere, 4)
    store, folder = Store(tmp_path / "store"), f"{elsewhere.url}/images"
    frame = prepare(FolderSource(name="mine", folders=folder), SplitSpec(), store).frame
    assert sorted(frame["url"]) == [f"{folder}/gan1/{k}/{i:02d}.png" for k in ("fake", "real") for i in range(4)]
    assert set(frame["format"]) == {"PNG"}
    for row in frame.itertuples():
        assert len(read_original(row.url, row.sample_id)) == row.size_bytes
    rows = "".join(f"gan1/{kind}/{i:02d}.png,{kind}\n" for kind in ("real", "fake") for i in range(4))
    elsewhere.put("images/table.csv", f"path,label\n{rows}".encode())
    named = prepare(TableSource(name="named", table=f"{folder}/table.csv"), SplitSpec(), store).frame
    assert set(named["sample_id"]) == set(frame["sample_id"])
    elsewhere.put("images/gan1/real/00.png", b"another")
    elsewhere.put("images/gan1/real/a #1.png", b"one more")
    again = prepare(FolderSource(name="mine", folders=folder), SplitSpec(), store).frame
    assert len(again) == 9
    assert len(set(again["sample_id"]) - set(frame["sample_id"])) == 2
    added = again[again["path"] == "gan1/real/a #1.png"].iloc[0]
    assert read_original(added["url"], added["sample_id"]) == b"one more"
    with pytest.raises(ManifestError, match=f"There is no folder {elsewhere.url}/nowhere"):
        prepare(FolderSource(name="other", folders=f"{elsewhere.url}/nowhere"), SplitSpec(), store)


@pytest.mark.parametrize("in_place", [False, True])
def test_archives_there_are_unpacked_or_read_in_place(in_place, elsewhere, packed):
    files = {f"img_align_celeba/{i:06d}.jpg": b"\xff\xd8\xff real %d" % i for i in range(9)}
    fakes = {f"fake/stargan/{i}.png": b"\x89PNG fake %d" % i for i in range(9)}
    store = Store(f"{elsewhere.url}/store")
    store.write_bytes("by_hand/celeba/reals.tar", packed("tar", files))
    store.write_bytes("by_hand/celeba/fakes.zip", packed("zip", fakes))
    source = CatalogueSource(catalogue="celeba", name="celeba", options={"in_place": in_place})
    frame = prepare(source, SplitSpec(), store).frame
    assert len(frame) == 18
    assert {read_original(row.url, row.sample_id) for row in frame.itertuples()} == {*files.values(), *fakes.values()}
    assert frame["url"].str.startswith("slice://").all() == in_place


@pytest.mark.parametrize("elsewhere", ["gs", "hub"], indirect=True)
def test_a_file_there_is_downloaded_in_parts_of_one_version(elsewhere, tmp_path):
    """Of buckets; what web servers do meanwhile is in `datasets/downloading`."""
    how, seen = Fetching(chunk_bytes=2**16, first_wait_s=0.01), []
    elsewhere.put("a.zip", DATA)
    address = f"{elsewhere.url}/a.zip"
    assert download(open_origin(address), tmp_path / "a.zip", how=how).size == len(DATA)

    def change(done, _total):
        if done and not seen:
            seen.append(done)
            elsewhere.put("a.zip", DATA[::-1])

    download(open_origin(address), tmp_path / "b.zip", how=how, progress=change)
    assert seen
    assert (tmp_path / "b.zip").read_bytes() == DATA[::-1]
    with pytest.raises(DownloadError, match="no such file"):
        download(open_origin(f"{elsewhere.url}/z.zip"), tmp_path / "z.zip", how=how)


def test_the_command_line_takes_it(elsewhere):
    put_images(elsewhere, 4)
    store = f"{elsewhere.url}/store"
    arguments = ["datasets", "add", "mine", "--folder", f"{elsewhere.url}/images", "--store", store]
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments, "--keep", "--local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{store}/cards/mine.yaml"
    assert Store(store).names("manifests")
