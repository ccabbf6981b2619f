"""Processes and nodes are killed at random moments, and every run ends with all vectors, each computed once.

The stores are a local disk and an object store behind HTTP, the nodes are real raylets, the drivers real processes.
"""

import collections
import contextlib
import functools
import io
import os
import random
import signal
import threading
import time

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfd_core import pipeline
from dfd_core.features.extraction import extract_here
from dfd_core.features.files import read_features
from dfd_core.storage import Store

KINDS = list(zip(("driver", "actor", "node") * 2, ("s3", "disk") * 3, strict=True))
ALL_ROUNDS = list(enumerate([*KINDS, *KINDS, *KINDS, ("driver", "disk"), ("actor", "s3")]))
ROUNDS = ALL_ROUNDS[: int(os.environ.get("DFD_TEST_ROUNDS", "3"))]  # one for each victim; `make faults` does all twenty
SHARD, SETS, ACTORS, IN_FLIGHT = 4, 2, 2, 3
NETWORK = 2
"""Every seventh round from this one on runs a network, so that kills fall into torch's threads too."""
LAST = 96 / SHARD - 2


@pytest.fixture(scope="module")
def reference_of(configure, tmp_path_factory):
    """The vectors of a backbone as one process computes them, by feature set."""

    @functools.cache
    def compute(backbone):
        config = configure(str(tmp_path_factory.mktemp("reference")), 32, backbone)
        manifests, feature_sets = pipeline.find_inputs(config).open(config)
        store = Store(config.store)
        extract_here(store, pipeline.plan_features(config, manifests, feature_sets), config.extraction, lambda _: None)
        return {one.folder: read_features(store, one.folder) for one in feature_sets}

    return compute


@pytest.fixture(scope="module")
def reference(reference_of):
    """Those of the power spectrum."""
    return reference_of("spectrum")


@pytest.fixture(scope="module")
def undisturbed_s():
    """Seconds from the first shard that is handed out to the last that is done, by kind of store."""
    return {}


@pytest.fixture(scope="module")
def landed():
    """Whether each kill fell into a run; most must, or the rounds show nothing."""
    assert len(ALL_ROUNDS) == 20
    found = []
    yield found
    assert sum(found) >= 0.75 * len(found) - 1, found


class Watcher(threading.Thread):
    """Reads each file under a final name as soon as it is listed, again whenever its size or time changes."""

    def __init__(self, extraction, folders):
        super().__init__(daemon=True)
        self.store, self.folders = Store(extraction.config.store), folders
        self.stamps, self.tables, self.wrong, self.ended = {}, {}, [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            self.look()
            self.ended.wait(0.03 if self.store.is_local else 0.1)

    def stop(self):
        self.ended.set()
        self.join()
        self.look()

    def look(self):
        for folder in self.folders:
            try:
                entries = self.store.fs.ls(f"{self.store.root}/{folder}", detail=True, refresh=True)
            except FileNotFoundError:
                continue
            for entry in entries:
                name = entry["name"].rsplit("/", 1)[-1]
                stamp = (entry["size"], entry.get("mtime") or entry.get("ETag"))
                if not name.startswith(".partial-") and self.stamps.get((folder, name)) != stamp:
                    self.read(folder, name, entry["name"])
                    self.stamps[folder, name] = stamp

    def read(self, folder, name, path):
        try:
            table = pq.read_table(io.BytesIO(self.store.fs.cat_file(path)))
        except Exception as error:
            self.wrong.append((folder, name, repr(error)))
            return
        if len(table) != SHARD or set(table["status"].to_pylist()) != {"ok"}:
            self.wrong.append((folder, name, len(table)))
        self.tables[folder, name] = table

    def finished(self):
        """(sample id, feature set) of every row that stands in the store."""
        return [
            (sample_id, folder)
            for (folder, _), table in list(self.tables.items())
            for sample_id in table["sample_id"].to_pylist()
        ]


def all_is_there(extraction, reference, watcher=None):
    """Every sample once in every feature set, with the vector that one process computes."""
    if watcher is None:
        watcher = Watcher(extraction, reference)
        watcher.look()
    assert not watcher.wrong
    assert len(watcher.tables) == SETS * 96 / SHARD
    assert len(reference) == SETS
    for folder, expected in reference.items():
        table = pa.concat_tables([one for (own, _), one in watcher.tables.items() if own == folder])
        order = np.argsort(table["sample_id"].to_numpy())
        assert table["sample_id"].to_numpy()[order].tolist() == expected.sample_ids.tolist()
        vectors = np.stack(table["embedding"].to_numpy())[order]
        # what one network computes in batches of other sizes differs by rounding
        assert np.allclose(vectors, expected.X, rtol=0, atol=1e-5 if "tiny_vit" in folder else 0)


def starts(extraction):
    """How often each (sample id, feature set) was begun."""
    return collections.Counter(
        (sample, target)
        for event in extraction.events("start")
        for sample in event["samples"]
        for target in event["targets"]
    )


def partials(extraction):
    store = Store(extraction.config.store)
    if store.is_local:
        return list((extraction.folder / "store").rglob(".partial-*"))
    return [path for path in store.fs.find(store.root) if ".partial-" in path]


@pytest.mark.parametrize(("number", "kind"), ROUNDS, ids=[f"{n}-{victim}-{on}" for n, (victim, on) in ROUNDS])
def test_a_kill_at_a_random_moment_costs_what_was_in_flight_and_no_more(
    number, kind, cluster, new_extraction, reference_of, undisturbed_s, landed
):
    victim, on = kind
    backbone = "tiny_vit" if number % 7 == NETWORK else "spectrum"
    reference = reference_of(backbone)
    cluster.ensure(2)
    if on not in undisturbed_s:
        quiet = new_extraction("quiet", on)
        quiet.start()
        quiet.await_events("dispatch")
        began = time.monotonic()
        quiet.await_events("done")
        undisturbed_s[on] = time.monotonic() - began
        assert quiet.finish() == 0, quiet.output()
        all_is_there(quiet, reference_of("spectrum"))
        assert set(starts(quiet).values()) == {1}
    moment_s = random.Random(number).uniform(0, undisturbed_s[on])

    extraction = new_extraction("run", on, backbone=backbone)
    watcher = Watcher(extraction, reference)
    watcher.start()
    extraction.start()
    extraction.await_events("dispatch" if backbone == "spectrum" else "start")  # torch takes seconds to load
    deadline = time.monotonic() + moment_s  # or with the last shards, where the machine is faster than it was
    while time.monotonic() < deadline and len(extraction.events("report")) < LAST:
        time.sleep(0.005)
    before = watcher.finished()
    if victim == "driver":
        in_flight = ACTORS * IN_FLIGHT
        extraction.process.kill()
        landed.append(extraction.finish() == -signal.SIGKILL and not extraction.events("done"))
        extraction.start()
    elif victim == "actor":
        in_flight = IN_FLIGHT
        while not (actors := cluster.actors()) and not extraction.events("done"):
            time.sleep(0.01)
        if actors:
            with contextlib.suppress(psutil.NoSuchProcess):
                random.Random(number).choice(actors).kill()
        landed.append(bool(actors) and not extraction.events("done"))
    else:
        in_flight = IN_FLIGHT
        cluster.kill(random.Random(number).choice(cluster.nodes))
        landed.append(not extraction.events("done"))
        cluster.ensure(2)
    assert extraction.finish() == 0, extraction.output()

    watcher.stop()
    all_is_there(extraction, reference, watcher)
    begun = starts(extraction)
    files = collections.Counter(sample_id for sample_id, _ in before)
    # a shard of which one file was there and the other not was in flight: it is computed again
    assert {begun[sample_id, folder] for sample_id, folder in before if files[sample_id] == SETS} <= {1}
    again = sum(n - 1 for n in begun.values())
    assert again <= in_flight * SHARD * SETS
    careful = [event for event in extraction.events("start") if event["careful"]]
    assert len(careful) <= IN_FLIGHT * (victim == "actor")  # a node or a driver that dies is no fault of the shard
    assert len(partials(extraction)) <= ACTORS  # a killed actor leaves the one that it was writing


def test_the_next_run_removes_what_a_killed_process_left_behind(new_extraction, cluster, reference):
    cluster.ensure(2)
    extraction = new_extraction("run")
    folder = extraction.folder / "store" / next(iter(reference))
    folder.mkdir(parents=True)
    old, young = folder / ".partial-old", folder / ".partial-young"
    for path in (old, young):
        path.write_bytes(b"half a fi")
    os.utime(old, (time.time() - 7200,) * 2)
    extraction.start()
    assert extraction.finish() == 0, extraction.output()
    assert partials(extraction) == [young]
    all_is_there(extraction, reference)


def test_a_node_that_joins_is_used_while_the_run_goes_on(new_extraction, cluster, reference):
    cluster.ensure(1)
    extraction = new_extraction("run", pace_s=2.0)  # so slow that a busy machine has the second actor ready in time
    extraction.start()
    extraction.await_events("report", 2)
    nodes = {event["worker"].split("/")[0] for event in extraction.events("report")}
    assert len(nodes) == 1
    cluster.ensure(2)
    assert extraction.finish() == 0, extraction.output()
    reports = collections.Counter(event["worker"].split("/")[0] for event in extraction.events("report"))
    assert len(reports) == 2
    assert set(starts(extraction).values()) == {1}
    all_is_there(extraction, reference)


def test_nodes_that_go_again_and_again_are_no_shards_fault(new_extraction, cluster, reference):
    """With one attempt a shard, any blame would give it up."""
    losses = 10 if len(ROUNDS) == len(ALL_ROUNDS) else 4
    cluster.ensure(2)
    extraction = new_extraction("run", pace_s=0.4)
    extraction.start(DFD_SHARD_ATTEMPTS="1")
    for number in range(losses):
        extraction.await_events("report", number + 1)
        cluster.kill(cluster.nodes[0])
        cluster.ensure(2)
    assert not extraction.events("done")
    assert extraction.finish(180) == 0, extraction.output()
    assert not [event for event in extraction.events("start") if event["careful"]]
    all_is_there(extraction, reference)


def test_a_cluster_without_nodes_is_waited_for(new_extraction, cluster, reference):
    cluster.ensure(1)
    extraction = new_extraction("run", pace_s=0.3)
    extraction.start()
    extraction.await_events("report", 2)
    cluster.kill(cluster.nodes[0])
    time.sleep(4)
    assert extraction.process.poll() is None
    cluster.ensure(2)
    assert extraction.finish() == 0, extraction.output()
    all_is_there(extraction, reference)


def test_sigterm_ends_the_actors_and_keeps_what_is_finished(new_extraction, cluster, reference):
    cluster.ensure(2)
    extraction = new_extraction("run", pace_s=0.5)
    extraction.start()
    extraction.await_events("report", 4)
    extraction.process.terminate()
    assert extraction.finish(10) == 3
    assert "RunCancelledError" in extraction.output()
    deadline = time.monotonic() + 10
    while cluster.actors() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not cluster.actors()
    watcher = Watcher(extraction, reference)
    watcher.look()
    before = watcher.finished()
    assert len(before) >= 4 * SHARD * SETS
    extraction.start()
    assert extraction.finish() == 0, extraction.output()
    assert {starts(extraction)[one] for one in before} == {1}
    all_is_there(extraction, reference)
