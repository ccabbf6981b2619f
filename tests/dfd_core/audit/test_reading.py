"""What an audit remembers: examinations are counted, and what is found is what a first look would find."""

import io
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfd_core.audit import AuditSpec, audit_manifests, audit_places, reading
from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import StoreError
from dfd_core.manifests import SplitSpec, prepare, side_by_side
from dfd_core.storage import Store

NEAR, HEADERS = AuditSpec(), AuditSpec(near_duplicates=False)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def count(monkeypatch):
    """Counts files that are read, headers that are parsed and pictures that are decoded."""
    calls = Counter()

    def counted(name):
        original = getattr(reading, name)

        def call(*arguments):
            calls[name] += 1
            return original(*arguments)

        monkeypatch.setattr(reading, name, call)

    for name in ("read_file", "read_header", "reduced_grey"):
        counted(name)

    def take():
        found = tuple(calls[name] for name in ("read_file", "read_header", "reduced_grey"))
        calls.clear()
        return found

    return take


@pytest.fixture
def odd(clean, file):
    """Clean files and every kind of broken and doubled one."""
    damaged = bytearray(file(100, kind="PNG"))
    middle = damaged.index(b"IDAT") + 40
    damaged[middle : middle + 30] = b"\xff" * 30
    return clean | {
        "cam/real/empty.jpg": b"", "cam/real/page.jpg": b"<html>404</html>", "gan/fake/cut.jpg": file(101)[:1500],
        "gan/fake/damaged.png": bytes(damaged), "cam/real/a.jpg": file(102), "gan/fake/a.jpg": file(102),
        "gan/fake/near.jpg": file(0, quality=50), "gan/fake/really.png": file(103),
    }  # fmt: skip


def manifest_of(place, store):
    return prepare(FolderSource(name="m", folders=str(place)), SplitSpec(), store)


def test_a_run_examines_each_file_once_whatever_it_asks(folder, clean, file, store, count):
    place = folder(clean)
    manifest = manifest_of(place, store)
    plain, _ = audit_manifests(store, [manifest], HEADERS)
    assert count() == (60, 60, 0)
    first, evidence = audit_manifests(store, [manifest], NEAR)
    assert count() == (60, 60, 60)
    for spec, same in ((NEAR, first), (HEADERS, plain), (AuditSpec(radius=3, min_per_generator=50, seed=7), None)):
        found, _ = audit_manifests(store, [manifest], spec)
        assert same in (None, found)
    assert count() == (0, 0, 0)
    (place / "cam/real/more.jpg").write_bytes(file(200))
    (place / "cam/real/00.jpg").write_bytes(file(201))
    grown, more = audit_manifests(store, [manifest_of(place, store)], NEAR)
    assert count() == (2, 2, 2)
    assert sum(one.n for one in grown.counts) == 61
    known = dict(zip(evidence.frame["path"], evidence.hashes.tolist(), strict=True))
    again = dict(zip(more.frame["path"], more.hashes.tolist(), strict=True))
    assert {path for path in known if known[path] != again[path]} == {"cam/real/00.jpg"}


@pytest.mark.parametrize("spec", [NEAR, HEADERS])
def test_what_is_remembered_is_what_was_found(folder, odd, store, count, spec):
    place = folder(odd)
    bare, seen = audit_places([str(place)], spec)
    assert {"truncated", "empty", "undecodable", "duplicates_across_labels"} <= {one.kind for one in bare.findings}
    count()
    for read in (len(odd), 0):
        found, evidence = audit_places([str(place)], spec, store=store)
        assert found == bare
        assert evidence.headers.equals(seen.headers)
        assert evidence.frame.equals(seen.frame)
        assert evidence.damage == seen.damage
        assert np.array_equal(evidence.decoded, seen.decoded)
        if spec.near_duplicates:
            assert np.array_equal(evidence.hashes, seen.hashes)
            assert np.array_equal(evidence.has_hash, seen.has_hash)
        assert count()[:2] == (read, read)
    grouped, _ = audit_places([str(place)], spec, r"/(\d)", store=store)
    assert grouped.groups != found.groups
    assert count() == (0, 0, 0)


def test_a_file_with_another_stamp_is_read_and_its_content_recognised(folder, clean, file, store, count):
    place = folder(clean)
    audit_places([str(place)], NEAR, store=store)
    assert count() == (60, 60, 60)
    os.utime(place / "cam/real/00.jpg", ns=(1, 1))
    (place / "gan/fake/copy.jpg").write_bytes(clean["cam/real/01.jpg"])
    found, _ = audit_places([str(place)], NEAR, store=store)
    assert count() == (2, 0, 0)
    assert [one.kind for one in found.findings] == ["duplicates_across_labels"]
    audit_places([str(place)], NEAR, store=store)
    assert count() == (0, 0, 0)
    place.rename(place.with_name("elsewhere"))  # a dataset of another name
    audit_places([str(place.with_name("elsewhere"))], NEAR, store=store)
    assert count() == (61, 61, 61)


def test_a_manifests_files_are_known_from_preparing_them_and_noticed_when_they_change(
    folder, clean, file, store, count, tmp_path
):
    place = folder(clean)
    manifest = manifest_of(place, store)
    first, _ = audit_manifests(store, [manifest], NEAR)
    count()
    path = store.url(manifest.path)
    assert audit_places([path], NEAR, store=store)[0].findings == first.findings
    assert count() == (0, 0, 0)
    changed = place / "cam/real/05.jpg"
    size = len(clean["cam/real/05.jpg"])
    changed.write_bytes(file(300)[: size - 1] + b"\x00" * max(1, size - len(file(300))))
    (place / "cam/real/06.jpg").unlink()
    for _ in range(2):  # neither is remembered
        found, _ = audit_places([path], NEAR, store=store)
        assert {one.kind: one.n for one in found.findings} == {"changed": 1, "missing": 1}
        assert count() == (2, 0, 0)
    for name in ("05", "06"):
        (place / f"cam/real/{name}.jpg").write_bytes(clean[f"cam/real/{name}.jpg"])
    found, _ = audit_places([path], NEAR, store=store)
    assert found.findings == ()
    assert count() == (2, 0, 0)
    elsewhere = Store(tmp_path / "other")
    assert audit_places([path], NEAR, store=elsewhere)[0] == found
    assert audit_places([path], NEAR, store=elsewhere)[0] == found
    assert count() == (60, 60, 60)


def test_a_file_that_could_not_be_read_is_tried_again_and_a_broken_one_is_not(folder, odd, store, count, monkeypatch):
    place = folder(odd)
    original = reading.read_file

    def failing(url):
        if url.endswith("05.jpg"):
            raise OSError(5, "Input/output error")
        return original(url)

    monkeypatch.setattr(reading, "read_file", failing)
    found, _ = audit_places([str(place)], NEAR, store=store)
    assert {one.kind: one.n for one in found.findings}["missing"] == 2
    monkeypatch.setattr(reading, "read_file", original)
    count()
    again, _ = audit_places([str(place)], NEAR, store=store)
    kinds = {one.kind: one.n for one in again.findings}
    assert "missing" not in kinds
    assert (kinds["damaged"], kinds["truncated"], kinds["empty"], kinds["undecodable"]) == (1, 1, 1, 1)
    assert count() == (2, 2, 2)


def test_a_picture_that_memory_did_not_suffice_for_is_decoded_again(folder, clean, store, count, monkeypatch):
    place = folder(clean)
    original = reading.reduced_grey

    def short(data, kind):
        if data == clean["gan/fake/07.jpg"]:
            raise MemoryError
        return original(data, kind)

    monkeypatch.setattr(reading, "reduced_grey", short)
    found, _ = audit_places([str(place)], NEAR, store=store)
    assert found.findings[0].evidence == ("gan/fake/07.jpg: MemoryError",)
    monkeypatch.setattr(reading, "reduced_grey", original)
    count()
    assert audit_places([str(place)], NEAR, store=store)[0].findings == ()
    assert count() == (1, 1, 1)


@pytest.mark.parametrize("name", ["REVISION", "PIL"])
def test_other_code_looks_anew(folder, clean, store, count, monkeypatch, name):
    place = folder(clean)
    audit_places([str(place)], NEAR, store=store)
    count()
    monkeypatch.setattr(
        reading, name, reading.REVISION + 1 if name == "REVISION" else type("P", (), {"__version__": ""})
    )
    audit_places([str(place)], NEAR, store=store)
    assert count() == (60, 60, 60)
    audit_places([str(place)], NEAR, store=store)
    assert count() == (0, 0, 0)


def flipped(data):
    middle = len(data) // 3  # in a page: the footer is right
    return data[:middle] + bytes(255 - byte for byte in data[middle : middle + 8]) + data[middle + 8 :]


def another_table(_):
    out = io.BytesIO()
    pq.write_table(pa.table({"sample_id": ["a"], "x": [1]}), out)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["headers", "pixels", "places"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-100], flipped, another_table])
def test_a_damaged_memory_is_told_and_made_anew(folder, odd, store, count, caplog, kind, damage):
    place = folder(odd)
    first, _ = audit_places([str(place)], NEAR, store=store)
    (path,) = Path(store.root, kind).rglob("*.parquet")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    count()
    again, _ = audit_places([str(place)], NEAR, store=store)
    assert again == first
    assert count()[0] == len(odd)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"{path} is damaged (")
    caplog.clear()
    third, _ = audit_places([str(place)], NEAR, store=store)
    assert third == first
    assert count() == (0, 0, 0)
    assert not caplog.records


def test_a_memory_that_can_not_be_read_is_the_stores_fault(folder, clean, store):
    place = folder(clean)
    audit_places([str(place)], NEAR, store=store)
    (path,) = Path(store.root, "headers").rglob("*.parquet")
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="Could not read"):
        audit_places([str(place)], NEAR, store=store)
    assert path.is_dir()


def test_files_at_a_place_without_stamps_are_read_but_recognised(clean, store, count, monkeypatch, folder):
    place = folder(clean)
    monkeypatch.setattr("dfd_core.audit.gathering.places_of", lambda files: [None] * len(files))
    audit_places([str(place)], NEAR, store=store)
    count()
    audit_places([str(place)], NEAR, store=store)
    assert count() == (60, 0, 0)
    assert not store.names("places")


def test_what_was_examined_before_ctrl_c_is_kept(folder, clean, store, count):
    def stop(done, total):
        if done == 30:
            raise KeyboardInterrupt

    place = folder(clean)
    with pytest.raises(KeyboardInterrupt):
        audit_places([str(place)], NEAR, progress=stop, store=store)
    count()
    audit_places([str(place)], NEAR, store=store)
    assert count() == (30, 30, 30)


KILLED = """
import os, signal, sys
from dfd_core.audit import AuditSpec, audit_places, reading
from dfd_core.manifests import side_by_side
from dfd_core.storage import Store
side_by_side.KEPT_EVERY, original, seen = 10, reading.read_header, []
def examined(data):
    seen.append(1)
    if len(seen) == 180:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(data)
reading.read_header = examined
audit_places([sys.argv[1]], AuditSpec(), store=Store(sys.argv[2]))
"""


def test_a_kill_costs_the_batch_under_way(folder, clean, file, store, count):
    place = folder(clean | {f"gan/fake/x{i}.jpg": file(1000 + i) for i in range(140)})
    killed = subprocess.run([sys.executable, "-c", KILLED, str(place), store.root], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    audit_places([str(place)], NEAR, store=store)
    again = count()[1]
    ahead = 16 * side_by_side.threads_for([str(place)])  # results that nobody had taken yet
    assert 20 <= again <= 200 - 180 + ahead + 10


def test_two_datasets_of_one_audit_are_remembered_apart(folder, clean, file, store, count, tmp_path):
    one, two = folder(clean, "one"), folder({"cam/real/1.jpg": file(200), "gan/fake/1.jpg": file(201)}, "two")
    audit_places([str(one), str(two)], NEAR, store=store)
    assert count() == (62, 62, 62)
    audit_places([str(two)], NEAR, store=store)
    assert count() == (0, 0, 0)
    assert {name.rpartition("-")[0] for name in store.names("pixels")} == {"one", "two"}
    kept = sorted(Path(store.root).rglob("p*/*/*.parquet"))
    audit_places([str(one), str(two)], HEADERS, store=store)
    assert sorted(Path(store.root).rglob("p*/*/*.parquet")) == kept  # nothing new is nothing written
