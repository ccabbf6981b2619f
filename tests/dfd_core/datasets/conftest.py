"""HTTP servers of this machine that behave badly, one way each."""

import http.server
import os
import random
import runpy
import threading
import time
import types
import uuid
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import fsspec
import pytest


class Behaviour:
    """What a server does with a file, and what it was asked.

    Attributes:
        content: The file.
        stamp: Its ETag; `None` for none.
        ranges: Whether it honours ranges.
        length: What it says its length is, where that is wrong.
        cut_after: Bytes after which a connection ends, for the first `cuts` answers.
        silent_after: Bytes, of all answers, after which nothing more comes while this is so.
        refuse: Status and headers of the first answers, in order.
        chunked: Whether it does not say how long its answer is.
        empty_ranges: Whether it answers ranges behind its end with nothing, and not with 416.
        encoding: Its Content-Encoding; `None` for none.
        redirect: Whether the file is behind two redirects.
        piece: Bytes a piece, and `pause_s` after each.
    """

    def __init__(self, content, **more):
        self.content, self.stamp, self.ranges, self.length = content, '"1"', True, None
        self.cut_after, self.cuts, self.refuse, self.redirect = None, 10**9, [], False
        self.piece, self.pause_s, self.status, self.chunked = 2**16, 0.0, None, False
        self.silent_after, self.encoding, self.empty_ranges = None, None, False
        self.on_answer = lambda count: None
        self.content_type = "application/octet-stream"
        self.sent, self.answers, self.requests, self.headers = 0, 0, Counter(), []
        self.lock = threading.Lock()
        vars(self).update(more)

    def wait_while_silent(self):
        while self.silent_after is not None and self.sent >= self.silent_after:
            time.sleep(0.02)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        now = self.server.behaviour
        with now.lock:
            now.requests[self.path] += 1
            now.headers.append(dict(self.headers))
            now.answers += 1
            refusal = now.refuse.pop(0) if now.refuse else None
            now.on_answer(now.answers)
        now.wait_while_silent()
        if now.redirect and self.path != "/there":
            self._plain(302, {"Location": {"/file": "/between"}.get(self.path, "/there")})
            return
        if refusal:
            self._plain(*refusal)
            return
        content, wanted = now.content, self.headers.get("Range")
        start, stop, status = 0, len(content), 200
        fresh = self.headers.get("If-Range") in (None, now.stamp)
        if wanted and now.ranges and fresh:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop, status = int(first), min(int(last) + 1 if last else len(content), len(content)), 206
            if start >= len(content) and not now.empty_ranges:
                self._plain(416, {"Content-Range": f"bytes */{len(content)}"})
                return
        self.send_response(status)
        if now.stamp:
            self.send_header("ETag", now.stamp)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{now.length or len(content)}")
        self.send_header("Content-Type", now.content_type)
        if now.encoding:
            self.send_header("Content-Encoding", now.encoding)
        if now.chunked:
            self.send_header("Connection", "close")  # its end is the connection's
        else:
            said = stop - start if now.length is None or status == 206 else now.length
            self.send_header("Content-Length", str(said))
        self.end_headers()
        self._send(now, content[start:stop])

    def _send(self, now, body):
        cut = None
        if now.cut_after is not None and len(body) > now.cut_after:
            with now.lock:
                cut = now.cut_after if now.cuts > 0 else None
                now.cuts -= 1
        body = body if cut is None else body[:cut]
        for at in range(0, len(body), now.piece):
            piece = body[at : at + now.piece]
            now.wait_while_silent()
            try:
                self.wfile.write(piece)
                self.wfile.flush()
            except OSError:
                break
            with now.lock:
                now.sent += len(piece)
            time.sleep(now.pause_s)
        if cut is not None or now.length is not None or now.chunked:
            self.close_connection = True

    def _plain(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value() if callable(value) else value)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


@pytest.fixture
def serve():
    """Starts a server for a file that behaves in some way; gives its address and the behaviour."""
    servers = []

    def start(content, **behaviour):
        server = _Server(("127.0.0.1", 0), _Handler)
        server.behaviour = Behaviour(content, **behaviour)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/file", server.behaviour

    yield start
    for server in servers:
        server.behaviour.silent_after = None
        server.shutdown()
        server.server_close()


@pytest.fixture
def content():
    """A megabyte that does not repeat."""
    return random.Random(0).randbytes(10**6 + 17)


@pytest.fixture
def http_date():
    """The date some seconds from now, as HTTP writes it."""
    return lambda seconds: formatdate(time.time() + seconds, usegmt=True)


@pytest.fixture(scope="session")
def s3_server():
    """An S3-compatible server of this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """An empty bucket's address."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": s3_server})
    fsspec.filesystem("s3").clear_instance_cache()
    name = f"dfd-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def near(packed):
    """Makes cards whose archives are on a server of this machine, and such archives."""
    return types.SimpleNamespace(packed=packed, **runpy.run_path(str(Path(__file__).with_name("nearby.py"))))
