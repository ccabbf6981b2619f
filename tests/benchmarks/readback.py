"""Reading vectors back: feature files against one array of the same size in numpy's own format.

Both are on the same disk and in the page cache. Feature files are read as a run reads them: many files, in the order of
their names, into an array that is sorted by sample id, with the ledger that an extraction leaves behind and without it.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from dfd_core.features.files import read_features, write_feature_file
from dfd_core.features.ledger import ledger_path, load_ledger
from dfd_core.storage import Store
from dfd_core.throughput import Measurement

N, D, SHARD, RUNS = 100_000, 768, 2048, 5
FOLDER = "features/benchmark/none/vectors"


def measure(folder: Path) -> list[Measurement]:
    """Seconds to read 100,000 x 768 float32, medians of runs in turn; `cosine` is 1.0 where the arrays are equal."""
    store = Store(folder / "store")
    X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    ids = np.array([hashlib.sha256(str(i).encode()).hexdigest() for i in range(N)])
    for start in range(0, N, SHARD):
        part = slice(start, start + SHARD)
        rows = [(sample_id, "ok", None) for sample_id in ids[part].tolist()]
        write_feature_file(store, f"{FOLDER}/shard-{start:06}.parquet", rows, X[part], {})
    np.save(folder / "sorted.npy", X[np.argsort(ids)])
    del X
    ledger = store.url(ledger_path(FOLDER))
    load_ledger(store, FOLDER, keep=True)
    kept = Path(ledger).read_bytes()
    seconds: dict[str, list[float]] = {"npy": [], "with its ledger": [], "without a ledger": []}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in seconds}
    for _ in range(RUNS + 1):
        for name, times in seconds.items():
            if name == "without a ledger":
                Path(ledger).unlink()
            elif name == "with its ledger":
                Path(ledger).write_bytes(kept)
            started, cpu_started = time.perf_counter(), time.process_time()
            found = np.load(folder / "sorted.npy") if name == "npy" else read_features(store, FOLDER).X
            cpu_seconds[name].append(time.process_time() - cpu_started)
            times.append(time.perf_counter() - started)
            del found
    reference = np.load(folder / "sorted.npy")
    equal = np.array_equal(read_features(store, FOLDER).X, reference)
    if not equal:
        raise AssertionError("what was read back is not what was written")
    # the first of each warms the page cache
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    cpu = {name: statistics.median(times[1:]) for name, times in cpu_seconds.items()}
    return [
        Measurement(
            f"read back {N:,} x {D} from {-(-N // SHARD)} feature files {name}, reference np.load",
            medians["npy"],
            medians[name],
            medians["npy"] / medians[name],
            goal=0.7 if name == "with its ledger" else None,
            cosine=1.0,
            details={"reference_cpu_s": cpu["npy"], "ours_cpu_s": cpu[name]},
        )
        for name in ("with its ledger", "without a ledger")
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for one in measure(Path(scratch)):
            print(one.as_json())
