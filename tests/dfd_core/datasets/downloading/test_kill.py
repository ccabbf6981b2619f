"""A download that is killed again and again, or interrupted."""

import hashlib
import random
import signal
import subprocess
import sys
import time

from dfd_core.datasets.downloading import Fetching

HOW = Fetching(connections=3, chunk_bytes=2**16)
SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
from dfd_core.datasets.downloading import Fetching, HttpOrigin, download
print("begun", flush=True)
download(HttpOrigin(sys.argv[1]), Path(sys.argv[2]), how=Fetching.model_validate_json(sys.argv[3]))
"""


def test_twenty_kills_cost_no_more_than_the_chunks_in_flight(serve, tmp_path):
    content = random.Random(1).randbytes(28 * 10**6)
    address, behaviour = serve(content, piece=2**13, pause_s=0.008)
    target = tmp_path / "archive.zip"
    draw = random.Random(2)
    kills = 0
    command = [sys.executable, "-c", SCRIPT, address, str(target), HOW.model_dump_json()]
    while True:
        if kills == 20:
            behaviour.pause_s = 0
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        child.stdout.readline()
        if kills < 20:
            time.sleep(draw.uniform(0.02, 0.6))
            assert child.poll() is None, "the download ended before it could be killed often enough"
            child.kill()
        code = child.wait()
        child.stdout.close()
        if kills == 20:
            assert code == 0
            break
        assert not target.exists()
        kills += 1
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(content).digest()
    probes = kills + 1
    # what the server wrote into its sockets' buffers after a reader died is counted, although nobody read it
    in_flight = HOW.connections * (HOW.chunk_bytes + behaviour.piece)
    assert behaviour.sent <= len(content) + kills * in_flight + probes
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".archive.zip.lock") == ["archive.zip"]


def test_ctrl_c_ends_the_process_while_its_server_is_silent(serve, content, tmp_path):
    address, behaviour = serve(content, silent_after=500_000)
    command = [sys.executable, "-c", SCRIPT, address, str(tmp_path / "file"), HOW.model_dump_json()]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while behaviour.sent < 500_000:
        assert child.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)  # it waits 60 s for the next byte
    assert child.returncode == -signal.SIGINT, err
    assert err.endswith(b"KeyboardInterrupt\n")
