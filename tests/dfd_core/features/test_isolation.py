import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from PIL import Image, features

from dfd_core.errors import ExtractionError, ImageError
from dfd_core.features.decoding import DecodePolicy, decode
from dfd_core.features.isolation import IsolatedDecoder

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8))

# Python imports `sitecustomize` when it starts; this one makes the decoder in the child fall over certain files.
A_DECODER_THAT_FALLS = """
import ctypes, os, signal, sys, time
from dfd_core.features import decoding

print("a library says hello on standard output", flush=True)
honest = decoding.decode

def decode(data, policy):
    if data == b"segfault":
        ctypes.string_at(0)
    if data == b"abort":
        os.write(2, b"free(): invalid pointer\\n")
        os.abort()
    if data == b"exit":
        os._exit(3)
    if data == b"out of memory":
        os.kill(os.getpid(), signal.SIGKILL)
    if data == b"allocate":
        bytearray(1 << 34)
    if data == b"hang":
        time.sleep(1000)
    if data == b"hang with the lock":
        ctypes.PyDLL(None).sleep(1000)
    if data == b"nonsense":
        for number in range(3, 64):
            try:
                os.write(number, b"\\0\\0\\0\\4oops")
            except OSError:
                pass
    os.write(1, b"a C library prints")
    print("a Python library prints")
    return honest(data, policy)

decoding.decode = decode
"""


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


GOOD = encoded(PICTURE, "PNG")


def children():
    return psutil.Process().children(recursive=True)


@pytest.fixture(autouse=True)
def no_child_survives():
    before = set(children())
    yield
    assert not set(children()) - before


@pytest.fixture(scope="module")
def decoder():
    with IsolatedDecoder(timeout_s=60, memory_bytes=2**30) as shared:
        shared.decode(GOOD)  # its child is there before the tests look
        yield shared


@pytest.fixture
def falling(tmp_path, monkeypatch):
    """Makes children of this process fall over certain files."""
    (tmp_path / "sitecustomize.py").write_text(A_DECODER_THAT_FALLS)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


def outcome(function, *args):
    try:
        image = function(*args)
    except ImageError as error:
        return error.status, error.message
    return image.mode, image.size, image.info, image.tobytes()


FILES = {
    "jpeg": encoded(PICTURE, "JPEG"),
    "png": GOOD,
    "png-alpha": encoded(PICTURE.resize((33, 7)).convert("RGBA"), "PNG"),
    "tiff-cmyk": encoded(PICTURE.convert("CMYK"), "TIFF"),
    "webp": encoded(PICTURE, "WEBP"),
    "gif": encoded(PICTURE.quantize(), "GIF"),
    "bmp": encoded(PICTURE, "BMP"),
    "ppm": encoded(PICTURE, "PPM"),
    "more-than-a-band": encoded(PICTURE.resize((1500, 1999)), "JPEG"),
    "wide": encoded(PICTURE.resize((1_200_000, 2)), "PNG"),
    "high": encoded(PICTURE.resize((1, 1_000_001)), "PNG"),
    "cut": GOOD[:2000],
    "empty": b"",
    "html": b"<html>404</html>",
    "psd": b"8BPS\0\1" + b"\0" * 40,
}
if features.check("avif"):
    FILES["avif"] = encoded(PICTURE, "AVIF")


@pytest.mark.parametrize("name", list(FILES))
def test_the_result_is_that_of_decoding_here(decoder, name):
    assert outcome(decoder.decode, FILES[name]) == outcome(decode, FILES[name])


def test_the_policy_holds_in_the_child():
    policy = DecodePolicy(max_pixels=500, background=(1, 2, 3))
    with IsolatedDecoder(policy) as decoder:
        for name in ("png", "png-alpha"):
            assert outcome(decoder.decode, FILES[name]) == outcome(decode, FILES[name], policy)
        assert len(children()) >= 1
    assert outcome(decode, FILES["png"], policy)[0] == "too_large"


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"segfault", "crashed", "signal 11 (SIGSEGV)"),
        (b"abort", "crashed", "signal 6 (SIGABRT): free(): invalid pointer"),
        (b"exit", "crashed", "exit code 3"),
        (b"out of memory", "crashed", "signal 9 (SIGKILL)"),
        (b"allocate", "crashed", "exit code 1: MemoryError"),
        (b"nonsense", "crashed", "ended with"),
        (b"hang", "timed_out", "more than 1 s"),
        (b"hang with the lock", "timed_out", "more than 1 s"),
    ],
)
def test_what_ends_the_child_costs_that_image_alone(falling, data, status, message):
    timeout_s = 1 if status == "timed_out" else 60
    with IsolatedDecoder(timeout_s=timeout_s, memory_bytes=2**30) as decoder:
        with pytest.raises(ImageError) as caught:
            decoder.decode(data)
        assert caught.value.status == status
        assert message in caught.value.message
        decoder.timeout_s = 60
        assert outcome(decoder.decode, GOOD) == outcome(decode, GOOD)


def test_threads_share_it_and_each_gets_the_answer_to_its_own_file(falling):
    names = ["jpeg", "cut", "png-alpha"]
    jobs = [job for name in names for job in (FILES[name], b"exit", FILES["gif"])]
    before = set(children())
    with IsolatedDecoder() as decoder, ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda data: outcome(decoder.decode, data), jobs))
        assert 1 <= len(set(children()) - before) <= 3
    for job, one in zip(jobs, found, strict=True):
        if job == b"exit":
            assert one[0] == "crashed"
        else:
            assert one == outcome(decode, job)


def test_a_child_serves_many_images_and_outlives_the_thread_that_started_it():
    before, seen = set(children()), set()
    with IsolatedDecoder() as decoder:
        for _ in range(4):
            thread = threading.Thread(target=lambda: decoder.decode(GOOD))
            thread.start()
            thread.join()
            seen |= set(children()) - before
    assert len(seen) == 1


def test_a_child_that_was_killed_while_idle_is_replaced(decoder):
    with IsolatedDecoder() as own:
        before = set(children())
        own.decode(GOOD)
        (child,) = set(children()) - before
        child.kill()
        psutil.wait_procs([child], timeout=10)
        assert outcome(own.decode, GOOD) == outcome(decode, GOOD)


def test_a_real_bomb_ends_at_the_memory_limit():
    bomb = encoded(Image.new("RGB", (5000, 5000)), "PNG")
    assert len(bomb) < 100_000
    with IsolatedDecoder(memory_bytes=2**26) as decoder:
        with pytest.raises(ImageError, match="no memory for its pixels") as caught:
            decoder.decode(bomb)
        assert caught.value.status == "too_large"
        assert outcome(decoder.decode, GOOD) == outcome(decode, GOOD)


def test_a_child_that_can_not_start_is_no_images_fault(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os\nos.write(2, b'no such library\\n')\nos._exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with IsolatedDecoder() as decoder, pytest.raises(ExtractionError, match="exit code 7: no such library"):
        decoder.decode(GOOD)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with IsolatedDecoder() as decoder, pytest.raises(ExtractionError, match="No process"):
        decoder.decode(GOOD)


def test_closing_ends_what_is_being_decoded(falling):
    before = set(children())
    with IsolatedDecoder() as decoder, ThreadPoolExecutor(1) as pool:
        future = pool.submit(decoder.decode, b"hang")
        while not set(children()) - before:
            time.sleep(0.01)
        time.sleep(0.5)
        decoder.close()
        with pytest.raises(RuntimeError, match="closed"):
            future.result()
    with pytest.raises(RuntimeError, match="closed"):
        decoder.decode(GOOD)


@pytest.mark.parametrize("doing", ["nothing", "hanging"])
def test_a_child_does_not_outlive_a_parent_that_is_killed(falling, doing):
    script = textwrap.dedent(f"""
        import json, threading, time, psutil
        from dfd_core.features.isolation import IsolatedDecoder
        decoder = IsolatedDecoder(timeout_s=1)
        decoder.decode({GOOD!r})
        threading.Thread(target=decoder.decode, args=(b"hang with the lock",), daemon=True).start() \\
            if {doing == "hanging"} else None
        time.sleep(0.3)
        print(json.dumps([child.pid for child in psutil.Process().children()]), flush=True)
        time.sleep(1000)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        # What the parent itself prints at its start stands before.
        (pid,) = next(json.loads(line) for line in parent.stdout if line.startswith(b"["))
        child = psutil.Process(pid)
        parent.send_signal(signal.SIGKILL)
    last = time.monotonic() + 30
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < last
        time.sleep(0.05)


def test_a_child_imports_no_network():
    code = "import sys, dfd_core.features.decoding_child; print(sorted({name.split('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'PIL'" in found
    assert not [name for name in ("torch", "timm", "scipy", "pandas", "pyarrow", "ray") if f"'{name}'" in found]
