"""Downloads as a Prefect flow: a task for each archive, tried again by itself, and going on after a kill."""

import http.server
import io
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest
from PIL import Image

# the command line with a dataset in the catalogue whose archives are on this machine
SCRIPT = """
import sys
from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.options import PublishedOptions
base = sys.argv.pop(1)
DATASETS.add("near", DatasetCard(
    name="near", title="t", description="d", page="p", sources=("s",), licence="l", size_hint="h", size_bytes=10**6,
    generators={"gan1": "gan"}, reals=("camera",), pairing="all", splits="drawn",
    formats=Formats(real=("PNG",), fake=("PNG",)), revision=1, options=PublishedOptions,
    archives=tuple(Archive(name=n, kind="zip", parts=(Part(address=f"{base}/{n}.zip"),)) for n in ("reals", "fakes")),
    rules=(Rule(pattern="reals/.*", label=0, source="camera"), Rule(pattern="fakes/.*", label=1, generator="gan1")),
))
from flows.cli import main
main()
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        refusals = server.refusals.get(self.path)
        if refusals:
            self.send_response(refusals.pop())
            self.send_header("Retry-After", "86400")  # longer than one attempt waits
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = server.files[self.path]
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, len(data))
        self.send_response(206)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        for at in range(start, stop, 2**16):
            try:
                self.wfile.write(data[at : min(at + 2**16, stop)])
            except OSError:
                return
            server.sent += min(2**16, stop - at)
            time.sleep(server.pause_s)


@pytest.fixture
def publisher():
    """A server with two archives."""
    rng, server = random.Random(0), http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.refusals, server.pause_s, server.sent, server.daemon_threads = {}, {}, 0.0, 0, True
    for name in ("reals", "fakes"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for i in range(10):
                image = io.BytesIO()
                Image.frombytes("RGB", (30, 30), rng.randbytes(2700)).save(image, "PNG")
                archive.writestr(f"{i}.png", image.getvalue())
        server.files[f"/{name}.zip"] = file.getvalue()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def start(engine, server, *arguments):
    command = [sys.executable, "-c", SCRIPT, f"http://127.0.0.1:{server.server_port}", "datasets", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=engine.environment, stdout=pipe, stderr=pipe, text=True)


def run(engine, server, *arguments):
    process = start(engine, server, *arguments)
    out, err = process.communicate(timeout=200)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_each_archive_is_a_task_that_is_tried_again_alone(engine, publisher, tmp_path):
    publisher.refusals["/fakes.zip"] = [503]
    code, out, err = run(engine, publisher, "prepare", "near", "--store", tmp_path / "store")
    assert code == 0, err
    assert "gan1" in out
    assert out.splitlines()[-2].startswith("Dashboard: ")
    flow = out.splitlines()[-2].rsplit("/", 1)[-1]
    (download,) = [
        one for one in engine.post("flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [flow]}})
        if one["name"] == "download near"
    ]  # fmt: skip
    tasks = engine.post("task_runs/filter", flow_runs={"id": {"any_": [download["id"]]}})
    assert {task["name"]: task["run_count"] for task in tasks} == {"download reals": 1, "download fakes": 2}
    bars = [one for one in engine.post("artifacts/filter", limit=200) if one["key"] == "archive-fakes"]
    assert bars[0]["data"] == 100.0
    size = len(publisher.files["/fakes.zip"])
    assert f"{size / 1000:.3g} kB of {size / 1000:.3g} kB" in bars[0]["description"]
    sent = publisher.sent
    again = run(engine, publisher, "prepare", "near", "--store", tmp_path / "store")
    assert again[0] == 0
    assert again[1].splitlines()[-1] == out.splitlines()[-1]
    assert publisher.sent == sent
    code, _, err = run(engine, publisher, "prepare", "near", "--sample", "3", "--local", "--store", tmp_path / "store")
    assert code == 0, err
    assert "near" in run(engine, publisher, "status", "--store", tmp_path / "store")[1]


def test_what_cannot_be_had_is_not_tried_again_and_the_rest_is_kept(engine, publisher, tmp_path):
    publisher.refusals["/fakes.zip"] = [404] * 9
    code, _, err = run(engine, publisher, "prepare", "near", "--store", tmp_path / "store")
    assert code == 1
    assert "fakes.zip can't be downloaded (404): there is no such file" in err.splitlines()[-1]
    assert len(publisher.refusals["/fakes.zip"]) == 8
    assert len(list((tmp_path / "store" / "archives").rglob("reals.zip"))) == 1


def test_a_killed_download_goes_on_where_it_was(engine, publisher, tmp_path):
    publisher.files["/reals.zip"] = padded(publisher.files["/reals.zip"], 40 * 10**6)
    publisher.pause_s = 0.01
    process = start(engine, publisher, "prepare", "near", "--store", tmp_path / "store")
    deadline = time.monotonic() + 100
    while not any(b" " in line for path in journals(tmp_path) for line in path.read_bytes().splitlines()[1:]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert not list(tmp_path.rglob("reals.zip"))
    before, publisher.sent, publisher.pause_s = publisher.sent, 0, 0.0
    code, out, err = run(engine, publisher, "prepare", "near", "--store", tmp_path / "store")
    assert code == 0, err
    assert before >= 2**20
    assert publisher.sent <= len(publisher.files["/reals.zip"]) + len(publisher.files["/fakes.zip"]) - 2**20 + 2**17
    assert "gan1" in out


@pytest.mark.parametrize("here", [["--local"], []])
def test_ctrl_c_ends_a_download_whose_server_is_silent(engine, publisher, tmp_path, here):
    publisher.files["/reals.zip"] = padded(publisher.files["/reals.zip"], 10**6)
    publisher.pause_s = 300.0  # a read is given up after 60
    process = start(engine, publisher, "prepare", "near", *here, "--store", tmp_path / "store")
    deadline = time.monotonic() + 100
    while publisher.sent < 2**16:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 1, err
    assert "The run was cancelled." in err.splitlines()[-1]


def journals(folder):
    return list(folder.rglob(".reals.zip.journal"))


def padded(data, size):
    """The same archive behind bytes that a reader of zip skips."""
    return random.Random(1).randbytes(size) + data
