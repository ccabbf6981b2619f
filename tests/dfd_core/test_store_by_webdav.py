"""Folders of web servers as stores and as sources, against a WebDAV server of this machine."""

import contextlib
import functools
import http.server
import io
import os
import pickle
import re
import runpy
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec
import httpx
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dfd_core import in_process
from dfd_core.config import RunConfig, make_config
from dfd_core.datasets import CatalogueSource
from dfd_core.datasets.downloading import Fetching, download, open_origin
from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import ConfigError, ManifestError, StoreError, StoreFullError, StoreRefusedError
from dfd_core.features.reading import read_original
from dfd_core.filesystems.webdav import WebDavFileSystem
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

Site = runpy.run_path(str(Path(__file__).with_name("webdav_site.py")))["Site"]


def forget():
    WebDavFileSystem.clear_instance_cache()
    fsspec.get_filesystem_class("http").clear_instance_cache()


@pytest.fixture(autouse=True)
def _no_logins(monkeypatch, tmp_path):
    """No login of whoever runs this, and a client that knows nothing from the test before."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("dfd_core.filesystems.webdav_answers._WAITS_S", (0.01, 0.01))
    forget()
    yield
    forget()


@pytest.fixture
def site(tmp_path):
    server = Site(tmp_path)
    yield server
    server.close()


def put_images(folder, count=20):
    rng = np.random.default_rng(0)
    for kind in ("real", "fake"):
        (folder / "gan1" / kind).mkdir(parents=True)
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
            (folder / "gan1" / kind / f"{i:02d}.png").write_bytes(file.getvalue())


def contents(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_store_reads_what_it_and_others_wrote(site):
    store = Store(f"{site.url}/my store")
    assert store.names("a") == []
    assert store.sizes("a") == {}
    assert not store.exists("a")
    assert store.write_bytes("a/b.bin", b"123") == f"{site.url}/my%20store/a/b.bin"
    assert (store.read_bytes("a/b.bin"), store.exists("a/b.bin"), store.exists("a")) == (b"123", True, True)
    folder = site.folder / "dav" / "my store"
    assert (folder / "a" / "b.bin").read_bytes() == b"123"
    (folder / "a" / "c.bin").write_bytes(b"456")
    assert store.exists("a/c.bin")
    assert store.names("a") == ["b.bin", "c.bin"]
    (folder / "a" / "b.bin").write_bytes(b"4567")
    assert store.read_bytes("a/b.bin") == b"4567"
    assert store.sizes("") == {"a/b.bin": 4, "a/c.bin": 3}
    store.write_table("t.parquet", pa.table({"x": list(range(1000))}), {"seed": 7})
    assert store.read_provenance("t.parquet") == {"seed": 7}
    assert store.read_table("t.parquet")["x"].to_pylist() == list(range(1000))
    assert Store(f"{site.url}/my%20store").names("a") == ["b.bin", "c.bin"]
    assert pickle.loads(pickle.dumps(store)).names("a") == ["b.bin", "c.bin"]
    store.remove("a/c.bin")
    store.remove("a/c.bin")
    assert store.names("a") == ["b.bin"]
    with pytest.raises(StoreError, match=r"Could not read http://.*/nowhere: there is no such file"):
        store.read_bytes("nowhere")


@pytest.mark.parametrize("name", ["a b.bin", "a#1.bin", "50%25.bin", "ä+&.bin", "[1]'.bin"])
def test_any_name_comes_back_and_its_address_is_one_of_the_web(name, site):
    store = Store(f"{site.url}/s")
    address = store.write_bytes(f"fo lder/{name}", b"1")
    assert (site.folder / "dav" / "s" / "fo lder" / name).read_bytes() == b"1"
    assert store.names("fo lder") == [name]
    assert store.sizes("") == {f"fo lder/{name}": 1}
    assert store.read_bytes(f"fo lder/{name}") == b"1"
    assert httpx.get(address).content == b"1"
    with fsspec.open(address, "rb") as file:
        assert file.read() == b"1"


def test_a_table_is_read_in_pieces(site):
    store = Store(f"{site.url}/s")
    wide = pa.table({name: np.random.default_rng(i).random(20_000) for i, name in enumerate("abcdefgh")})
    store.write_table("t.parquet", wide)
    before = len(site.asked)
    assert store.read_table("t.parquet", ["c"])["c"].to_pylist() == wide["c"].to_pylist()
    assert 1 < site.asked[before:].count(("GET", "/dav/s/t.parquet")) < 10


def test_bytes_of_a_file_are_those_of_a_slice(site):
    store = Store(f"{site.url}/s")
    store.write_bytes("a", b"0123456789")
    for start, end in [(None, None), (0, 3), (2, None), (2, 5), (5, 5), (8, 99), (10, 12), (-3, None), (None, -2)]:
        assert store.fs.cat_file(f"{store.root}/a", start=start, end=end) == b"0123456789"[start:end]


class _Cut(io.RawIOBase):
    """A body of which the connection breaks in the middle."""

    def __enter__(self):
        return iter([b"x" * 2**20, *self])

    def __next__(self):
        raise OSError("the line is dead")


def test_a_file_is_there_whole_or_not_at_all(site, monkeypatch):
    store, data = Store(f"{site.url}/s"), os.urandom(2**20) * 8
    store.write_bytes("a/kept", b"1")
    with pytest.raises(OSError, match="the line is dead"):
        store.fs._put(f"{store.root}/a/new", _Cut)
    site.instead["MOVE"] = ["423 Locked"]
    with pytest.raises(StoreError, match="Could not write .*a/new: the server does not MOVE it"):
        store.write_bytes("a/new", data)
    assert store.names("a") == ["kept"]
    assert not store.exists("a/new")
    site.instead.clear()
    store.write_bytes("a/new", data)
    assert store.read_bytes("a/new") == data
    assert [path.name for path in (site.folder / "dav" / "s" / "a").iterdir() if path.name.startswith(".")] == []
    assert ("PUT", "/dav/s/a/new") not in site.asked


def test_what_a_killed_process_left_is_hidden_and_goes_after_an_hour(site):
    store = Store(f"{site.url}/s")
    store.write_bytes("a/b", b"1")
    folder = site.folder / "dav" / "s" / "a"
    for name, age_s in {".partial-old": 4000, ".partial-young": 10}.items():
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age_s,) * 2)
    assert store.names("a") == ["b"]
    assert store.sweep("a") == 1
    assert store.sweep("nowhere") == 0
    assert sorted(path.name for path in folder.iterdir()) == [".partial-young", "b"]


def test_a_file_of_this_machine_is_copied_and_folders_go_whole(site, tmp_path):
    store = Store(f"{site.url}/s")
    (tmp_path / "large").write_bytes(os.urandom(2**21))
    store.fs.put_file(str(tmp_path / "large"), store.fs._strip_protocol(store.url("a b/large")))
    store.write_bytes("a b/c/d", b"1")
    assert store.read_bytes("a b/large") == (tmp_path / "large").read_bytes()
    store.fs.rm(store.fs._strip_protocol(store.url("a b/c")), recursive=True)
    assert store.sizes("") == {"a b/large": 2**21}


def test_many_write_into_new_folders_at_once(site):
    def write(i):
        Store(f"{site.url}/s").write_bytes(f"x/y/z/{i % 4}/{i}", b"1")

    threads = [threading.Thread(target=write, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Store(f"{site.url}/s").sizes("")) == 16


def test_a_whole_run_lives_on_a_web_server_and_the_same_again_writes_nothing(site):
    put_images(site.folder / "dav" / "images")
    config = RunConfig(
        name="r", store=f"{site.url}/store", datasets=[{"name": "mine", "folders": f"{site.url}/images"}],
        split={"train": 0.5, "validation": 0.1, "test": 0.4}, augmentations=["none"], backbones=["spectrum"],
        classifiers=["logistic_regression"], extraction={"shard_size": 16}, shortcut_probe=None,
        evaluation={"bootstrap": {"replicates": 20}},
    )  # fmt: skip
    folder = in_process.run(config)
    store = Store(config.store)
    assert {"index.html", "results.parquet"} <= set(store.names(folder))
    results = store.read_table(f"{folder}/results.parquet").to_pandas()
    assert 16 in set(results["n"].dropna())
    before = contents(site.folder / "dav" / "store")
    assert not [name for name in before if ".partial-" in name]
    site.asked.clear()
    assert in_process.run(config) == folder
    assert contents(site.folder / "dav" / "store") == before
    assert site.writes() == []


def test_a_folder_and_a_table_on_a_web_server_are_datasets(site, tmp_path):
    put_images(site.folder / "dav" / "images", 4)
    store = Store(tmp_path / "store")
    frame = prepare(FolderSource(name="mine", folders=f"{site.url}/images"), SplitSpec(), store).frame
    assert len(frame) == 8
    for row in frame.itertuples():
        assert len(read_original(row.url, row.sample_id)) == row.size_bytes
    (site.folder / "dav" / "images" / "gan1" / "real" / "a #1.png").write_bytes(b"one more")
    (site.folder / "dav" / "images" / "gan1" / "real" / "00.png").write_bytes(b"another")
    again = prepare(FolderSource(name="mine", folders=f"{site.url}/images"), SplitSpec(), store).frame
    assert len(again) == 9
    assert len(set(again["sample_id"]) - set(frame["sample_id"])) == 2
    added = again[again["url"].str.endswith("a%20%231.png")].iloc[0]
    assert read_original(added["url"], added["sample_id"]) == b"one more"
    with pytest.raises(ManifestError, match=f"There is no folder {site.url}/nowhere"):
        prepare(FolderSource(name="other", folders=f"{site.url}/nowhere"), SplitSpec(), store)


@pytest.mark.parametrize("in_place", [False, True])
def test_archives_in_a_store_of_the_web_are_unpacked_or_read_in_place(in_place, site):
    import tarfile
    import zipfile

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
    store = Store(f"{site.url}/store")
    store.write_bytes("by_hand/celeba/reals.tar", tarred.getvalue())
    store.write_bytes("by_hand/celeba/fakes.zip", zipped.getvalue())
    source = CatalogueSource(catalogue="celeba", name="celeba", options={"in_place": in_place})
    frame = prepare(source, SplitSpec(), store).frame
    assert len(frame) == 18
    assert {read_original(row.url, row.sample_id) for row in frame.itertuples()} == {*files.values(), *fakes.values()}
    assert frame["url"].str.startswith("slice://").all() == in_place


def test_the_command_line_takes_a_store_of_the_web(site):
    put_images(site.folder / "dav" / "images", 4)
    arguments = ["datasets", "add", "mine", "--folder", f"{site.url}/images", "--store", f"{site.url}/store"]
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments, "--keep", "--local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{site.url}/store/cards/mine.yaml"
    assert Store(f"{site.url}/store").names("manifests")


@contextlib.contextmanager
def _locked(tmp_path, monkeypatch, login="machine 127.0.0.1 login ann password s3cret\n"):
    (tmp_path / "locked").mkdir()
    server = Site(tmp_path / "locked", ("ann", "s3cret"))
    netrc = tmp_path / "netrc"
    netrc.write_text(login)
    netrc.chmod(0o600)
    forget()
    try:
        yield server
    finally:
        server.close()


def test_the_login_comes_from_the_file_of_logins(tmp_path, monkeypatch):
    with _locked(tmp_path, monkeypatch) as site:
        store = Store(f"{site.url}/store")
        store.write_bytes("a", b"1")
        assert store.read_bytes("a") == b"1"
        put_images(site.folder / "dav" / "images", 4)
        frame = prepare(FolderSource(name="mine", folders=f"{site.url}/images"), SplitSpec(), store).frame
        assert {len(read_original(row.url, row.sample_id)) for row in frame.itertuples()} == set(frame["size_bytes"])
        how = Fetching(first_wait_s=0.01)
        assert download(open_origin(store.url("a")), tmp_path / "a", how=how).size == 1
        assert not any(b"s3cret" in path.read_bytes() for path in (site.folder / "dav").rglob("*") if path.is_file())


@pytest.mark.parametrize("login", ["", "machine elsewhere login ann password s3cret\n"])
def test_without_a_login_the_error_says_where_it_goes(login, tmp_path, monkeypatch):
    with _locked(tmp_path, monkeypatch, login) as site:
        store = Store(f"{site.url}/store")
        advice = r"401\. Put `machine 127\.0\.0\.1 login NAME password SECRET` into ~/\.netrc"
        for use in (lambda: store.write_bytes("a", b"1"), lambda: store.names("a"), lambda: store.exists("a")):
            with pytest.raises(StoreRefusedError, match=advice):
                use()


def test_a_file_of_logins_that_is_no_such_file_is_named(tmp_path, site):
    (tmp_path / "netrc").write_text("machine")
    with pytest.raises(StoreError, match=f"The logins in {tmp_path}/netrc can't be read"):
        Store(site.url)


@pytest.mark.parametrize("place", ["https://ann:s3cret@host/store", "https://token@host/store"])
def test_a_login_in_an_address_is_refused_and_not_repeated(place):
    with pytest.raises(StoreError, match=r"https://\*\*\*@host/store.*name or password.*~/\.netrc") as caught:
        Store(place)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match="name or password") as refused:
        make_config({"store": place}, "a configuration")
    assert "s3cret" not in str(refused.value)


def test_a_full_server_is_a_full_store(site):
    store = Store(f"{site.url}/s")
    site.instead["PUT"] = ["507 Insufficient Storage"]
    with pytest.raises(StoreFullError, match="No space left while trying to write"):
        store.write_bytes("a", b"1")
    site.instead["PUT"] = ["403 Forbidden"]
    with pytest.raises(StoreRefusedError, match="403"):
        store.write_bytes("a", b"1")


def test_a_moment_of_weakness_is_waited_out(site):
    store = Store(f"{site.url}/s")
    store.write_bytes("a", b"1")
    for method, use in {"PUT": lambda: store.write_bytes("a", b"2"), "GET": lambda: store.read_bytes("a")}.items():
        site.instead = {method: ["503 Service Unavailable", None]}
        use()
    assert store.read_bytes("a") == b"2"


def test_a_server_out_of_reach_is_an_error_with_its_name(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        place = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    for verb, use in {
        "read": lambda store: store.read_bytes("a"),
        "write": lambda store: store.write_bytes("a", b"1"),
        "list": lambda store: store.names("a"),
        "look up": lambda store: store.exists("a"),
    }.items():
        with pytest.raises(StoreError, match=f"Could not {verb} {re.escape(place)}/s/a"):
            use(Store(f"{place}/s"))
    with pytest.raises(ManifestError, match=f"{place}/images can't be listed"):
        prepare(FolderSource(name="mine", folders=f"{place}/images"), SplitSpec(), Store(tmp_path / "s"))


class _Plain(http.server.SimpleHTTPRequestHandler):
    """A web server that only gives; `status` is what it says to anything else."""

    status = None

    def log_message(self, *_):
        pass

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_error(self.status)

    do_PROPFIND = do_MKCOL = do_MOVE = do_DELETE = do_PUT  # noqa: N815 - the server's names


@pytest.mark.parametrize("status", [405, 501, 404])
def test_a_web_server_that_takes_no_files_is_one_clear_error(status, tmp_path):
    handler = type("_One", (_Plain,), {"status": status})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(StoreError, match=f"{place} can't be a store: it takes no files by WebDAV.*{status}.*Take "):
            Store(f"{place}/store").write_bytes("a/b", b"1")
        if status != 404:
            with pytest.raises(StoreError, match="takes no files by WebDAV"):
                Store(f"{place}/store").names("a")
        put_images(tmp_path / "images", 2)
        rows = "".join(f"gan1/{kind}/{i:02d}.png,{kind}\n" for kind in ("real", "fake") for i in range(2))
        (tmp_path / "images" / "table.csv").write_text(f"path,label\n{rows}")
        store = Store(tmp_path / "store")
        assert len(prepare(TableSource(name="t", table=f"{place}/images/table.csv"), SplitSpec(), store).frame) == 4
        problem = r"web servers have no folders.*`table:`" if status != 404 else "There is no folder"
        with pytest.raises(ManifestError, match=problem):
            prepare(FolderSource(name="mine", folders=f"{place}/images"), SplitSpec(), store)
    finally:
        server.shutdown()
        server.server_close()


def test_without_its_client_the_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "webdav4.client", None)
    for module in ("webdav", "webdav_answers"):
        monkeypatch.delitem(sys.modules, f"dfd_core.filesystems.{module}", raising=False)
    with pytest.raises(StoreError, match=r"pip install '\.\[webdav\]'"):
        Store("https://host/store")
    with pytest.raises(ManifestError, match=r"web servers have no folders.*`table:`.*pip install '\.\[webdav\]'"):
        prepare(FolderSource(name="mine", folders="https://host/images"), SplitSpec(), Store(tmp_path))
