"""Addresses of providers, against a hub of this machine and an S3-compatible server."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading

import fsspec
import pytest

from dfd_core.datasets.downloading import Fetching, download, expand, open_origin
from dfd_core.errors import DownloadError

DATA = bytes(range(256)) * 3000
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK = Fetching(chunk_bytes=2**17, first_wait_s=0.01)


class _Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as a download needs: paths, a listing, and files behind a redirect."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        lfs = {"oid": SHA256, "size": len(DATA), "pointerSize": 134}
        found = {"type": "file", "path": "data/a.zip", "oid": "1" * 40, "size": len(DATA), "lfs": lfs}
        self.answer(200, json.dumps([found] if "a.zip" in body else []).encode(), {"Content-Type": "application/json"})

    def do_GET(self):
        if self.path.startswith("/api/"):
            names = ["README.md", "data/a.zip", "data/b.zip", "data/c.txt"]
            facts = {"id": "o/n", "sha": "1" * 40, "siblings": [{"rfilename": name} for name in names]}
            tree = [{"type": "file", "path": name, "oid": "1" * 40, "size": 1} for name in names]
            body = json.dumps(tree if "/tree/" in self.path else facts).encode()
            return self.answer(200, body, {"Content-Type": "application/json"})
        if self.path.startswith("/datasets/o/n/resolve/"):
            self.server.tokens.add(self.headers.get("Authorization"))
            return self.answer(302, b"", {"Location": "/cdn/a.zip"})
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        part = DATA[int(first) : int(last) + 1]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(DATA)}"
        return self.answer(206, part, {"Content-Range": span, "ETag": '"x"'})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.daemon_threads, server.tokens = True, set()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_environment")
    yield server
    server.shutdown()
    server.server_close()


def test_the_hub_tells_the_digest_and_the_token_is_the_environments(hub, tmp_path):
    found = download(open_origin("hf://datasets/o/n/data/a.zip"), tmp_path / "a.zip", how=QUICK)
    assert found.sha256 == SHA256
    assert hub.tokens == {"Bearer hf_of_the_environment"}
    with pytest.raises(DownloadError, match="There is no"):
        open_origin("hf://datasets/o/n/data/z.zip")


def test_a_star_stands_for_files_of_the_hub(hub):
    prefix = "hf://datasets/o/n@main/data"
    assert expand(f"{prefix}/*.zip") == [f"{prefix}/a.zip", f"{prefix}/b.zip"]
    assert expand("https://x/y") == ["https://x/y"]
    with pytest.raises(DownloadError, match="Nothing on the hub"):
        expand(f"{prefix}/*.tar")


def test_what_is_no_address_is_said():
    with pytest.raises(DownloadError, match=r"hf://datasets/OWNER/NAME"):
        open_origin("hf://models/x")
    with pytest.raises(DownloadError, match="can't be opened"):
        open_origin("nowhere://x")


def test_clients_of_providers_are_imported_where_they_are_used():
    names = "gdown", "kagglehub", "kagglesdk", "gcsfs", "s3fs"
    code = f"import sys, dfd_core.config, dfd_core.datasets.shelf; print([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_bucket_is_a_source_and_a_change_in_it_is_seen(bucket, tmp_path):
    fs = fsspec.filesystem("s3")
    fs.pipe_file(f"{bucket.removeprefix('s3://')}/a.zip", DATA)
    assert download(open_origin(f"{bucket}/a.zip"), tmp_path / "a.zip", how=QUICK).sha256 == SHA256
    seen = []

    def change(done, _total):
        if done > 2**17 and not seen:
            seen.append(done)
            fs.pipe_file(f"{bucket.removeprefix('s3://')}/a.zip", DATA[::-1])

    download(open_origin(f"{bucket}/a.zip"), tmp_path / "b.zip", how=QUICK, progress=change)
    if seen:
        assert (tmp_path / "b.zip").read_bytes() == DATA[::-1]
    with pytest.raises(DownloadError, match="no such file"):
        download(open_origin(f"{bucket}/z.zip"), tmp_path / "z.zip", how=QUICK)
