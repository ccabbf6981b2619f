"""The audit: files a second and core from 256-px JPEG files to findings, and the search for near duplicates.

The reference of the first is Pillow alone: opening each file and reading its digest, which is what any audit begins
with; of the second, comparing all hashes with all in blocks, on fewer hashes and scaled up.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dfd_core.audit import AuditSpec, audit_places
from dfd_core.audit.hashing import near_sets
from dfd_core.throughput import Measurement, make_images

DISTINCT, FILES, HASHES, PART = 200, 4000, 100_000, 10_000
RADIUS = 24


def measure(folder: Path) -> list[Measurement]:
    """A line for each comparison; seconds of processor time."""
    files = _files(folder / "audit")
    audit_places([str(files)], AuditSpec())  # imports and the page cache
    pillow = _cpu_s(lambda: [_pillow(path) for path in files.rglob("*.jpg")])
    lines = []
    for near, goal in ((False, 0.1), (True, None)):
        spec = AuditSpec(near_duplicates=near)
        ours = _cpu_s(lambda spec=spec: audit_places([str(files)], spec))
        name = f"audit of {FILES:,} files of 256 px {'with' if near else 'without'} near duplicates (s)"
        details = {"images_per_s_and_core": FILES / ours}
        lines.append(Measurement(name, pillow, ours, pillow / ours, goal, details=details))
    hashes = _hashes(HASHES)
    started = time.perf_counter()
    ours = _cpu_s(lambda: near_sets(hashes, RADIUS))
    wall_s = time.perf_counter() - started
    all_pairs = _cpu_s(lambda: _brute_force(hashes[:PART])) * (HASHES / PART) ** 2
    name = f"near duplicates among {HASHES:,} hashes (s)"
    details = {"wall_s": wall_s, "goal_wall_s": 60, "reference_hashes": PART}
    return [*lines, Measurement(name, all_pairs, ours, all_pairs / ours, goal=10, details=details)]


def _files(folder: Path) -> Path:
    """Few images, many files: each copy differs in its last byte."""
    contents = [path.read_bytes() for path in make_images(folder.with_name("audit-pictures"), DISTINCT)]
    for number in range(FILES):
        path = folder / ("cam/real", "gan/fake")[number % 2] / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % DISTINCT] + number.to_bytes(4))
    return folder


def _hashes(n: int) -> np.ndarray:
    """Random ones, a tenth of them near to another."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (n, 4), dtype=np.uint64)
    hashes[: n // 10] = hashes[n // 10 : 2 * (n // 10)] ^ (np.uint64(1) << rng.integers(0, 64, (n // 10, 4), np.uint64))
    return np.unique(hashes, axis=0)


def _brute_force(hashes: np.ndarray) -> int:
    return sum(
        int((np.bitwise_count(hashes[i : i + 500, None] ^ hashes[None]).sum(axis=2) <= RADIUS).sum())
        for i in range(0, len(hashes), 500)
    )


def _pillow(path: Path) -> tuple[str, tuple[int, int]]:
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        return hashlib.sha256(data).hexdigest(), image.size


def _cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for one in measure(Path(scratch)):
            print(one.as_json())
