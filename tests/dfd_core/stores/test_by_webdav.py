"""What folders of web servers alone do as stores, against a WebDAV server of this machine."""

import functools
import http.server
import io
import os
import re
import socket
import sys
import threading
import time

import fsspec
import httpx
import numpy as np
import pyarrow as pa
import pytest

from dfd_core.config import make_config
from dfd_core.datasets.downloading import Fetching, download, open_origin
from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import ConfigError, ManifestError, StoreError, StoreFullError, StoreRefusedError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

pytestmark = pytest.mark.usefixtures("no_logins")


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


def test_an_address_is_of_the_web_and_folders_go_whole(site):
    store = Store(f"{site.url}/my store")
    assert store.write_bytes("a b/c/d", b"1") == f"{site.url}/my%20store/a%20b/c/d"
    store.write_bytes("a b/e", b"2")
    assert Store(f"{site.url}/my%20store").names("a b") == ["c", "e"]
    store.fs.rm(store.fs._strip_protocol(store.url("a b/c")), recursive=True)
    assert store.sizes("") == {"a b/e": 1}


def test_many_write_into_new_folders_at_once(site):
    def write(i):
        Store(f"{site.url}/s").write_bytes(f"x/y/z/{i % 4}/{i}", b"1")

    threads = [threading.Thread(target=write, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Store(f"{site.url}/s").sizes("")) == 16


def test_the_login_comes_from_the_file_of_logins(locked_site, noise_images, tmp_path):
    site = locked_site()
    store = Store(f"{site.url}/store")
    store.write_bytes("a", b"1")
    assert store.read_bytes("a") == b"1"
    noise_images(site.folder / "dav" / "images", 4)
    frame = prepare(FolderSource(name="mine", folders=f"{site.url}/images"), SplitSpec(), store).frame
    assert {len(read_original(row.url, row.sample_id)) for row in frame.itertuples()} == set(frame["size_bytes"])
    how = Fetching(first_wait_s=0.01)
    assert download(open_origin(store.url("a")), tmp_path / "a", how=how).size == 1
    assert not any(b"s3cret" in path.read_bytes() for path in (site.folder / "dav").rglob("*") if path.is_file())


@pytest.mark.parametrize("login", ["", "machine elsewhere login ann password s3cret\n"])
def test_without_a_login_the_error_says_where_it_goes(login, locked_site):
    store = Store(f"{locked_site(login).url}/store")
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
def test_a_web_server_that_takes_no_files_is_one_clear_error(status, noise_images, tmp_path):
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
        noise_images(tmp_path / "images", 2)
        rows = "".join(f"gan1/{kind}/{i}.png,{kind}\n" for kind in ("real", "fake") for i in range(2))
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
