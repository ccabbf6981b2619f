"""A download that is killed again and again."""

import hashlib
import random
import subprocess
import sys
import time

from dfd_core.datasets.downloading import Fetching

HOW = Fetching(connections=3, chunk_bytes=2**16)
SCRIPT = """
import sys
from pathlib import Path
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
