"""What listing and planning cost where a feature set has many files, with the consolidated ledger and without it.

Files hold 20 rows each, so that the cost is that of files, not of vectors; a million rows are measured apart. Growth
is measured up to 200,000 files, which are listed but not read: what they hold is in the ledger.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, resolve
from dfd_core.features.files import write_feature_file
from dfd_core.features.ledger import SCHEMA, Ledger, ledger_path, load_ledger, write_ledger
from dfd_core.features.planning import plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.storage import Store
from dfd_core.throughput import Measurement

FILES, ROWS, RUNS = (1_000, 10_000, 50_000), 20, 3
GROWTH = (10_000, 50_000, 200_000)
MILLION = 1_000_000
DATASET = "benchmark"


def measure(folder: Path) -> list[Measurement]:
    """Seconds to plan; `reference` reads every file, `ours` the ledger, and both find that nothing is missing."""
    backbone = resolve(BackboneSpec(name="spectrum"))
    feature_set = FeatureSet(dataset=DATASET, augmentation=AUGMENTATIONS["none"], backbone=backbone)
    store = Store(folder / "store")
    found = []
    for n in FILES:
        _write_files(store, feature_set.folder, n)
        manifest = _manifest(n * ROWS)
        listing = _seconds(lambda: store.names(feature_set.folder))
        without = _seconds(lambda manifest=manifest: _plan(store, manifest, feature_set))
        load_ledger(store, feature_set.folder, keep=True)
        planning = _seconds(lambda manifest=manifest: _plan(store, manifest, feature_set))
        cpu = _seconds(lambda manifest=manifest: _plan(store, manifest, feature_set), time.process_time)
        found.append(
            Measurement(
                f"plan {n:,} files of {ROWS} rows with their ledger, reference without it",
                without,
                planning,
                without / planning,
                cosine=1.0,
                details={
                    "listing_s": listing,
                    "reference_ms_per_file": 1e3 * without / n,
                    "ours_ms_per_file": 1e3 * planning / n,
                    "ours_cpu_ms_per_file": 1e3 * cpu / n,
                },
            )
        )
        Path(store.url(ledger_path(feature_set.folder))).unlink()
    shutil.rmtree(folder / "store")
    return [*found, *_growth(found), *_with_a_ledger(store, feature_set), _a_million_rows(store, feature_set)]


def _growth(found: list[Measurement]) -> list[Measurement]:
    """What one file costs among the fewest and among the most; at least 1 is not worse than linear."""
    few, many = found[0], found[-1]
    lines = []
    for what, few_s, many_s in (
        ("listing", few.details["listing_s"], many.details["listing_s"]),
        ("planning with the ledger", few.ours, many.ours),
        ("planning without", few.reference, many.reference),
    ):
        a, b = 1e3 * few_s / FILES[0], 1e3 * many_s / FILES[-1]
        lines.append(Measurement(f"{what}, ms a file: {FILES[-1]:,} files / {FILES[0]:,} files", a, b, a / b, goal=1.0))
    return lines


def _with_a_ledger(store: Store, feature_set: FeatureSet) -> list[Measurement]:
    """Microseconds and bytes of memory that a file costs in planning, among few and among many.

    Files come in the order of their names, which are digests, so each has its rows elsewhere in the manifest.
    """
    manifest, folder, lines = _manifest(GROWTH[-1] * ROWS), feature_set.folder, []
    Path(store.url(folder)).mkdir(parents=True)
    made = 0
    for n in GROWTH:
        names = [f"shard-{index:016x}.parquet" for index in range(n)]
        for name in names[made:]:
            Path(store.url(f"{folder}/{name}")).touch()
        made, table = n, manifest.slice(0, n * ROWS)
        order = np.random.default_rng(0).permutation(n)[:, None] * ROWS + np.arange(ROWS)
        ids = table["sample_id"].take(pa.array(order.ravel()))
        rows = pa.table([ids, ["ok"] * len(ids), pa.nulls(len(ids), pa.string())], schema=SCHEMA)
        write_ledger(store, folder, Ledger(tuple(names), np.full(n, ROWS), rows))
        run = functools.partial(_plan, store, table, feature_set)
        lines.append(
            {
                "wall_us_per_file": 1e6 * _seconds(run) / n,
                "cpu_us_per_file": 1e6 * _seconds(run, time.process_time) / n,
                "memory_bytes_per_file": _peak_bytes(run) / n,
            }
        )
    shutil.rmtree(store.root)
    first = lines[0]
    found = []
    for n, line in zip(GROWTH[1:], lines[1:], strict=True):
        a, b = first["cpu_us_per_file"], line["cpu_us_per_file"]
        name = f"planning with the ledger, CPU-us a file: {n:,} files / {GROWTH[0]:,} files"
        # 1 is linear; fresh memory and the processor's caches cost the rest
        found.append(Measurement(name, a, b, a / b, goal=0.65, details=line))
    a, b = first["memory_bytes_per_file"], lines[-1]["memory_bytes_per_file"]
    name = f"memory of planning, bytes a file: {GROWTH[-1]:,} files / {GROWTH[0]:,} files"
    return [*found, Measurement(name, a, b, a / b, goal=1.0)]


def _a_million_rows(store: Store, feature_set: FeatureSet) -> Measurement:
    """Bytes and seconds of a ledger of a million rows, one in a hundred of them failed, and of planning with it."""
    manifest, folder = _manifest(MILLION), feature_set.folder
    status = ["ok" if i % 100 else "missing" for i in range(MILLION)]
    error = [None if i % 100 else f"/images/{i:09}.png: No such file or directory" for i in range(MILLION)]
    rows = pa.table([manifest["sample_id"], status, error], schema=SCHEMA)
    n_files = -(-MILLION // 2048)
    counts = np.full(n_files, 2048)
    counts[-1] = MILLION - 2048 * (n_files - 1)
    names = [f"shard-{i:016x}.parquet" for i in range(n_files)]
    for name in names:
        store.write_bytes(f"{folder}/{name}", b"")
    writing = _seconds(lambda: write_ledger(store, folder, Ledger(tuple(names), counts, rows)))
    reading = _seconds(lambda: load_ledger(store, folder))
    planning = _seconds(lambda: _plan(store, manifest, feature_set))
    details = {
        "writing_s": writing,
        "retry_s": _seconds(lambda: plan_extraction(store, {DATASET: manifest}, [feature_set], retry_failed=True)),
        "size_bytes": Path(store.url(ledger_path(folder))).stat().st_size,
        "memory_bytes": load_ledger(store, folder).rows.nbytes,
        "memory_of_planning_bytes": _peak_bytes(lambda: _plan(store, manifest, feature_set)),
    }
    name = "a ledger of 1,000,000 rows in 489 files, 1 % failed: planning, reference reading it"
    return Measurement(name, reading, planning, reading / planning, cosine=1.0, details=details)


def _plan(store: Store, manifest: pa.Table, feature_set: FeatureSet) -> None:
    plan = plan_extraction(store, {DATASET: manifest}, [feature_set])
    if plan.missing:
        raise AssertionError(f"{plan.missing} vectors are missing where none is")


def _write_files(store: Store, folder: str, n: int) -> None:
    """Files up to n; each is a table that was written once and differs in its ids alone."""
    for index in range(len(store.names(folder)), n):
        rows = [(_digest(index * ROWS + row), "ok", None) for row in range(ROWS)]
        write_feature_file(store, f"{folder}/shard-{index:016x}.parquet", rows, np.zeros((ROWS, 4), np.float32), {})


def _manifest(n: int) -> pa.Table:
    ids = pa.array([_digest(index) for index in range(n)])
    return pa.table({"sample_id": ids, "url": pa.array([f"/images/{index:09}.png" for index in range(n)])})


def _digest(index: int) -> str:
    return hashlib.sha256(str(index).encode()).hexdigest()


def _seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    times = []
    for _ in range(RUNS):
        started = clock()
        call()
        times.append(clock() - started)
    return statistics.median(times)


def _peak_bytes(call: Callable[[], object]) -> int:
    """The most that numpy and Python held meanwhile, and the most that Arrow did, perhaps at another time."""
    default, watched = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(watched)
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] + watched.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(default)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for one in measure(Path(scratch)):
            print(one.as_json())
