"""As much of the hub as its buckets need: names, and behind them the storage of contents that `hf_xet` uploads to.

Contents come in as https://huggingface.co/docs/xet describes it: chunks, packed into xorbs, and shards that say which
chunks a file is made of.
"""

import http.server
import json
import struct
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa

API, FILES, CONTENTS = "/api/buckets/o/n", "/buckets/o/n/resolve/", "/v1/"
NO_BYTES = "0" * 64
NOW = "2026-01-01T00:00:00.000Z"


class Contents:
    """Chunks by their xorb, and files as runs of them."""

    def __init__(self):
        self.xorbs, self.files = {}, {NO_BYTES: []}

    def keep_xorb(self, name, body):
        chunks, at = [], 0
        while at < len(body) and body[at : at + 7] != b"XETBLOB":
            packed, size = (int.from_bytes(body[at + place : at + place + 3], "little") for place in (1, 5))
            chunks.append(_unpacked(body[at + 8 : at + 8 + packed], body[at + 4], size))
            at += 8 + packed
        self.xorbs[name] = chunks

    def keep_shard(self, body):
        at = 48
        while body[at : at + 32] != b"\xff" * 32:
            name, flags, count = _hash(body[at : at + 32]), *struct.unpack_from("<II", body, at + 32)
            runs = [body[at + 48 * i : at + 48 * (i + 1)] for i in range(1, count + 1)]
            self.files[name] = [(_hash(run[:32]), *struct.unpack_from("<II", run, 40)) for run in runs]
            at += 48 * (1 + count + (count if flags & 1 << 31 else 0) + (1 if flags & 1 << 30 else 0))

    def read(self, name):
        return b"".join(b"".join(self.xorbs[xorb][first:end]) for xorb, first, end in self.files[name])


def _hash(raw):
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def _unpacked(data, scheme, size):
    if scheme == 0:
        return data
    plain = pa.Codec("lz4").decompress(data, size).to_pybytes()
    if scheme == 1:
        return plain
    grouped, at = bytearray(size), 0  # the first bytes of all fours, then the second ones, and so on
    for place in range(4):
        count = len(range(place, size, 4))
        grouped[place::4] = plain[at : at + count]
        at += count
    return bytes(grouped)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, hub = unquote(urlsplit(self.path).path), self.server
        hub.asked.append((self.command, path))
        if path.startswith(CONTENTS):
            return self.answer(404)  # it knows no chunk from before
        if self.is_refused(path):
            return None
        if path == f"{API}/xet-write-token":
            if self.headers["Authorization"] == "Bearer hf_reads":
                return self.answer(403)
            return self.json({"casUrl": hub.url, "accessToken": "xet", "exp": int(time.time()) + 3600})
        if path.startswith(FILES):
            return self.file(hub.names.get(path.removeprefix(FILES)))
        if path.startswith(f"{API}/tree"):
            recursive = parse_qs(urlsplit(self.path).query).get("recursive", [""])[0].lower() == "true"
            return self.tree(path.removeprefix(f"{API}/tree").strip("/"), recursive)
        return self.json({"id": "o/n", "private": True, "createdAt": NOW, "size": 0, "totalFiles": len(hub.names)})

    def do_POST(self):
        body, path, hub = self.body(), urlsplit(self.path).path, self.server
        hub.asked.append((self.command, path))
        if path.startswith(API) and self.is_refused(path):
            return None
        if path.startswith(f"{CONTENTS}xorbs/"):
            hub.contents.keep_xorb(path.rpartition("/")[2], body)
            return self.json({"was_inserted": True})
        if path == f"{CONTENTS}shards":
            hub.contents.keep_shard(body)
            return self.json({"result": 1})
        if path == f"{API}/paths-info":
            return self.json([self.facts(name) for name in json.loads(body)["paths"] if name in hub.names])
        if path == f"{API}/batch":
            for line in body.splitlines():
                self.carry_out(json.loads(line))
            return self.json({"success": True})
        return self.answer(404, {"X-Error-Code": "RepoNotFound"})

    def is_refused(self, path):
        """Whether it was; a stranger learns nothing of a bucket, not even that it is there."""
        known = self.headers.get("Authorization") in {"Bearer hf_writes", "Bearer hf_reads"}
        status = self.server.refusal or (401 if not known else 0 if path.startswith((API, FILES)) else 404)
        if status:
            self.answer(status, {"X-Error-Code": "RepoNotFound"} if status in {401, 404} else {})
        return bool(status)

    def carry_out(self, operation):
        if operation["type"] == "deleteFile":
            self.server.names.pop(operation["path"], None)
        else:
            assert operation["xetHash"] in self.server.contents.files
            self.server.names[operation["path"]] = operation["xetHash"]

    def facts(self, name):
        content = self.server.names[name]
        size = len(self.server.contents.read(content))
        return {"type": "file", "path": name, "size": size, "xetHash": content, "mtime": NOW, "uploadedAt": NOW}

    def tree(self, prefix, recursive):
        entries = {}
        for name in sorted(one for one in self.server.names if one.startswith(prefix)):  # by letters, as the hub does
            end = name.find("/", len(prefix) + name.startswith(f"{prefix}/"))
            if recursive or end < 0:
                entries[name] = self.facts(name)
            else:
                entries[name[:end]] = {"type": "directory", "path": name[:end], "uploadedAt": NOW}
        self.json(list(entries.values()))

    def file(self, content):
        if content is None:
            return self.answer(404, {"X-Error-Code": "EntryNotFound"})
        data, wanted = self.server.contents.read(content), self.headers.get("Range")
        if not wanted:
            return self.answer(200, {}, data)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if int(first) >= len(data):
            return self.answer(416)
        part = data[int(first) : int(last) + 1 if last else None]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return self.answer(206, {"Content-Range": span}, part)

    def body(self):
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def json(self, value):
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the server's name


class Hub(http.server.ThreadingHTTPServer):
    """A hub with the bucket o/n, for the tokens hf_writes and hf_reads; `refusal` is a status instead of any answer."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.names, self.contents, self.asked = {}, Contents(), []
        self.refusal = None
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
