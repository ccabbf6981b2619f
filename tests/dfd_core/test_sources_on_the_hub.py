"""The Hugging Face hub and web servers as sources, against servers of this machine; as stores they are refused."""

import functools
import hashlib
import http.server
import io
import json
import posixpath
import re
import threading
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import numpy as np
import pytest
from PIL import Image

from dfd_core.config import RunConfig, make_config
from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import ConfigError, ManifestError, StoreError
from dfd_core.features.reading import read_original
from dfd_core.filesystems import why_no_store
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

ROOT = "/datasets/o/n/resolve/main/"


class _Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as its file system needs: facts of a repository, its tree, and ranges of its files."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        names = {path.rstrip("/") for path in body.get("paths", [])}
        self.json([entry for entry in self.tree("", True) if entry["path"] in names])

    def do_GET(self):
        url = urlsplit(unquote(self.path))
        if not url.path.startswith(("/api/datasets/o/n", ROOT)):
            return self.missing("RepoNotFound")
        if url.path.startswith(ROOT):
            return self.file(url.path.removeprefix(ROOT))
        if "/tree/main" not in url.path:
            return self.json({"id": "o/n", "sha": "1" * 40, "siblings": []})
        folder = url.path.partition("/tree/main")[2].strip("/")
        found = self.tree(folder, parse_qs(url.query).get("recursive", ["False"])[0].lower() == "true")
        return self.json(found) if found else self.missing("EntryNotFound")

    def do_HEAD(self):
        self.do_GET()

    def tree(self, folder, recursive):
        entries, prefix = {}, f"{folder}/" if folder else ""
        for path, data in self.server.files.items():
            if not path.startswith(prefix):
                continue
            below = path.removeprefix(prefix).split("/")
            for depth in range(1, len(below)):
                at = prefix + "/".join(below[:depth])
                entries[at] = {"type": "directory", "path": at, "oid": "2" * 40, "size": 0}
            oid = hashlib.sha1(data).hexdigest()
            entries[path] = {"type": "file", "path": path, "oid": oid, "size": len(data)}
        return [one for one in entries.values() if recursive or posixpath.dirname(one["path"]) == folder]

    def file(self, path):
        data = self.server.files.get(path)
        if data is None:
            return self.missing("EntryNotFound")
        self.server.tokens.add(self.headers.get("Authorization"))
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": "1" * 40, "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if not wanted:
            return self.answer(200, data, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return self.answer(206, part, {**headers, "Content-Range": span})

    def json(self, value):
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def missing(self, code):
        self.answer(404, b"", {"X-Error-Code": code, "X-Error-Message": "not found"})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def images():
    rng, files = np.random.default_rng(0), {}
    for kind in ("real", "fake"):
        for i in range(20):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
            files[f"images/gan1/{kind}/{i:02d}.png"] = file.getvalue()
    return files


def started(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def clear():
    fsspec.get_filesystem_class("hf").clear_instance_cache()


@pytest.fixture
def hub(monkeypatch):
    """A repository o/n with a folder and a table of images."""
    server = started(_Hub)
    server.files, server.tokens = images(), set()
    rows = "".join(f"{name.removeprefix('images/')},{name.split('/')[2]}\n" for name in server.files)
    server.files["images/table.csv"] = f"path,label\n{rows}".encode()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": address})
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_environment")
    clear()
    yield server
    clear()
    server.shutdown()
    server.server_close()


def test_a_folder_of_the_hub_is_a_dataset_and_a_change_in_it_is_seen(hub, tmp_path):
    source, store = FolderSource(name="mine", folders="hf://datasets/o/n/images"), Store(tmp_path)
    frame = prepare(source, SplitSpec(), store).frame
    assert len(frame) == 40
    assert set(frame["url"]) == {f"hf://datasets/o/n/{name}" for name in hub.files if name.endswith(".png")}
    assert set(frame["label"]) == {0, 1}
    for row in frame.itertuples():
        assert read_original(row.url, row.sample_id) == hub.files[row.url.removeprefix("hf://datasets/o/n/")]
    assert hub.tokens == {"Bearer hf_of_the_environment"}
    hub.files["images/gan1/real/00.png"] += b"more"
    hub.files["images/gan1/real/20.png"] = b"one more"
    again = prepare(source, SplitSpec(), store).frame
    assert len(again) == 41
    assert len(set(again["sample_id"]) - set(frame["sample_id"])) == 2
    changed = again[again["url"].str.endswith("real/00.png")].iloc[0]
    assert read_original(changed["url"], changed["sample_id"]) == hub.files["images/gan1/real/00.png"]


def test_a_table_of_the_hub_is_a_dataset(hub, tmp_path):
    source = TableSource(name="mine", table="hf://datasets/o/n/images/table.csv")
    frame = prepare(source, SplitSpec(), Store(tmp_path)).frame
    assert len(frame) == 40
    assert read_original(frame["url"][3], frame["sample_id"][3]) in hub.files.values()


def test_what_the_hub_has_not_is_said(hub, tmp_path):
    for place in ("hf://datasets/o/n/nowhere", "hf://datasets/o/other/images"):
        with pytest.raises(ManifestError, match=f"{place}"):
            prepare(FolderSource(name="mine", folders=place), SplitSpec(), Store(tmp_path))
    with pytest.raises(ManifestError, match="There is no table"):
        prepare(TableSource(name="mine", table="hf://datasets/o/n/nowhere.csv"), SplitSpec(), Store(tmp_path))


def test_a_hub_out_of_reach_is_no_fault_of_the_images(hub, tmp_path, monkeypatch):
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": "http://127.0.0.1:9"})
    clear()
    with pytest.raises(StoreError, match="Could not read hf://datasets/o/n/images/gan1/real/00.png"):
        read_original("hf://datasets/o/n/images/gan1/real/00.png", "0" * 64)
    with pytest.raises(ManifestError, match="can't be listed"):
        prepare(FolderSource(name="mine", folders="hf://datasets/o/n/images"), SplitSpec(), Store(tmp_path))


@pytest.mark.parametrize(
    ("place", "advice"),
    {
        "hf://datasets/o/n": "Take a bucket of the hub, hf://buckets/OWNER/NAME",
        "hf://o/n/folder": "Take a bucket of the hub, hf://buckets/OWNER/NAME",
        "hf://buckets/o": "Write hf://buckets/OWNER/NAME",
    }.items(),
)
def test_what_can_only_be_read_is_refused_as_a_store(place, advice):
    with pytest.raises(ConfigError, match=f"{re.escape(place)} can't be a store: .*{advice}"):
        make_config({"store": place}, "a configuration")
    with pytest.raises(StoreError, match=f"{re.escape(place)}.* can't be a store"):
        Store(place).write_bytes("a", b"1")
    assert "Take the folder that it is in" in why_no_store("zip://a::https://host/a.zip")
    for possible in ("memory://x", "https://host/folder", "hf://buckets/o/n", "hf://buckets/o/n/folder"):
        assert why_no_store(possible) is None
        assert RunConfig(store=possible).store == possible


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_web_server_gives_the_images_of_a_table_but_no_folder(tmp_path):
    files = images()
    for name, data in files.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_bytes(data)
    server = started(functools.partial(_Quiet, directory=str(tmp_path / "site")))
    address = f"http://127.0.0.1:{server.server_port}/images"
    rows = "".join(f"{name.removeprefix('images/')},{name.split('/')[2]}\n" for name in files)
    (tmp_path / "site" / "images" / "table.csv").write_text(f"path,label\n{rows}")
    try:
        store = Store(tmp_path / "store")
        frame = prepare(TableSource(name="mine", table=f"{address}/table.csv"), SplitSpec(), store).frame
        assert {read_original(row.url, row.sample_id) for row in frame.itertuples()} == set(files.values())
        with pytest.raises(ManifestError, match=r"web servers have no folders.*`table:`"):
            prepare(FolderSource(name="mine", folders=address), SplitSpec(), store)
    finally:
        server.shutdown()
        server.server_close()
