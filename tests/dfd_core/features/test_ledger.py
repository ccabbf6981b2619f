import json
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.errors import StoreError
from dfd_core.features import ledger as ledgers
from dfd_core.features.files import read_failures, read_features, read_statuses, write_feature_file
from dfd_core.features.ledger import FEW_FILES, ledger_path, ledger_pieces, load_ledger
from dfd_core.storage import Store

PATH = ledger_path("features/d/none/b")
FOLDER = "features/d/none/b"


def write(store, name, statuses, folder=FOLDER):
    rows = [(i, status, None if status == "ok" else f"{status} in {name}") for i, status in statuses.items()]
    write_feature_file(store, f"{folder}/{name}.parquet", rows, np.ones((len(rows), 2), np.float32), {})


def fill(store, n=FEW_FILES):
    for index in range(n):
        write(store, f"shard-{index:03}", {f"{index:03}-a": "ok", f"{index:03}-b": "missing"})


def test_the_ledger_stands_beside_the_features():
    assert PATH == "ledgers/d/none/b.parquet"


FILES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["ok", "missing", "quarantined"]), min_size=1),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(FILES)
def test_rows_count_as_a_plain_loop_counts_them(tmp_path_factory, files):
    """Files come, are consolidated or not, and go; the ledger always says what the files that are there say."""
    store = Store(tmp_path_factory.mktemp("store"))
    present = {}
    for index, (attempt, statuses, keep, goes) in enumerate(files):
        name = f"shard-{index:02}" + (f"-retry{attempt}" if attempt else "")
        write(store, name, statuses)
        present[name] = (attempt, statuses)
        if keep:  # as where many files are new
            load_and_keep(store)
        if goes:
            store.fs.rm(store._full(f"{FOLDER}/{name}.parquet"))
            del present[name]
        best = {}
        for one, (made_by, found) in sorted(present.items(), reverse=True):
            for sample_id, status in found.items():
                rank = (status == "ok", made_by)
                if sample_id not in best or rank >= best[sample_id][0]:
                    best[sample_id] = (rank, status, one)
        assert read_statuses(store, FOLDER) == {i: status for i, (_, status, _) in best.items()}
        failed = [(i, status, f"{status} in {one}") for i, (_, status, one) in best.items() if status != "ok"]
        assert read_failures(store, FOLDER) == sorted(failed)
        expected = sorted((i, status, made_by) for made_by, found in present.values() for i, status in found.items())
        assert sorted(in_pieces(store)) == expected


def in_pieces(store, rows=3, **options):
    """The rows of a ledger that is read so many at a time: sample, status and attempt."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "PIECE_ROWS", rows)
        for piece in ledger_pieces(store, FOLDER, **options):
            ids, statuses = (piece.rows[name].to_pylist() for name in ("sample_id", "status"))
            assert len(ids) == piece.counts.sum()
            found += zip(ids, statuses, piece.attempts.tolist(), strict=True)
    return found


def rows_of(ledger):
    return sorted(
        zip(*ledger.rows.select(["sample_id", "status"]).to_pydict().values(), [0] * len(ledger.rows), strict=True)
    )


def load_and_keep(store):
    """Consolidates whatever there is: a damaged ledger is always written anew."""
    store.write_bytes(PATH, b"damaged")
    load_ledger(store, FOLDER, keep=True)
    assert store.read_bytes(PATH) != b"damaged"


def test_files_that_are_covered_are_not_read_again(tmp_path):
    store = Store(tmp_path)
    fill(store)
    before = load_ledger(store, FOLDER, keep=True)
    for name in store.names(FOLDER):
        store.write_bytes(f"{FOLDER}/{name}", b"unreadable")
    write(store, "shard-new", {"new": "ok"})
    after = load_ledger(store, FOLDER)
    assert after.files == (*before.files, "shard-new.parquet")
    assert after.sample_ids.tolist() == [*before.sample_ids.tolist(), b"new"]
    store.fs.rm(store._full(PATH))
    with pytest.raises(StoreError, match="not a readable Parquet file"):
        load_ledger(store, FOLDER)


def test_pieces_need_no_more_than_a_few_rows_at_once_unless_a_ledger_is_written(tmp_path):
    store = Store(tmp_path)
    fill(store)
    load_ledger(store, FOLDER, keep=True)
    pieces = list(ledger_pieces(store, FOLDER, keep=True))
    assert sum(len(piece.rows) for piece in pieces) == 2 * FEW_FILES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "PIECE_ROWS", 5)
        assert [len(piece.rows) for piece in ledger_pieces(store, FOLDER)] == [5] * 6 + [2]
    before = store.read_bytes(PATH)
    for index in range(FEW_FILES):
        write(store, f"shard-new-{index}", {f"new-{index}": "ok"})
    in_pieces(store)
    assert store.read_bytes(PATH) == before
    assert len(in_pieces(store, keep=True)) == store.read_table(PATH).num_rows == 3 * FEW_FILES


def test_it_is_written_only_by_who_may_and_where_it_saves_something(tmp_path):
    store = Store(tmp_path)
    fill(store, FEW_FILES - 1)
    load_ledger(store, FOLDER, keep=True)
    assert not store.exists(PATH)
    fill(store)
    load_ledger(store, FOLDER)
    assert not store.exists(PATH)
    load_ledger(store, FOLDER, keep=True)
    written = store.read_bytes(PATH)
    write(store, "shard-new", {"new": "ok"})
    load_ledger(store, FOLDER, keep=True)
    assert store.read_bytes(PATH) == written


def test_rows_of_a_file_that_is_gone_are_not_done_and_may_come_back_otherwise(tmp_path):
    store = Store(tmp_path)
    fill(store)
    load_ledger(store, FOLDER, keep=True)
    store.fs.rm(store._full(f"{FOLDER}/shard-003.parquet"))
    assert "003-a" not in read_statuses(store, FOLDER)
    load_ledger(store, FOLDER, keep=True)
    write(store, "shard-003", {"003-a": "missing", "003-b": "ok"})
    statuses = read_statuses(store, FOLDER)
    assert (statuses["003-a"], statuses["003-b"]) == ("missing", "ok")


def test_a_ledger_whose_files_are_all_gone_says_nothing(tmp_path):
    store = Store(tmp_path)
    fill(store)
    load_ledger(store, FOLDER, keep=True)
    store.fs.rm(store._full(FOLDER), recursive=True)
    assert read_statuses(store, FOLDER) == {}
    load_ledger(store, FOLDER, keep=True)
    assert store.read_table(PATH).num_rows == 0


def damage(store, how):
    table, facts = store.read_table(PATH), store.read_provenance(PATH)
    if how == "cut short":
        store.write_bytes(PATH, store.read_bytes(PATH)[:-20])
    elif how == "overwritten":
        data = bytearray(store.read_bytes(PATH))
        data[40:200] = bytes(160)
        store.write_bytes(PATH, bytes(data))
    elif how == "without its files":
        store.write_table(PATH, table.replace_schema_metadata())
    elif how == "of other columns":
        store.write_table(PATH, table.drop_columns(["error"]), facts)
    elif how == "of fewer rows":
        store.write_table(PATH, table.slice(1), facts)
    elif how == "of another version":
        store.write_table(PATH, table, {**facts, "version": 0})
    else:
        store.write_bytes(PATH, json.dumps(facts).encode())


@pytest.mark.parametrize(
    "how",
    [
        "cut short",
        "overwritten",
        "without its files",
        "of other columns",
        "of fewer rows",
        "of another version",
        "JSON",
    ],
)
def test_a_damaged_ledger_is_reported_and_built_anew(tmp_path, caplog, how):
    store = Store(tmp_path)
    fill(store)
    expected = load_ledger(store, FOLDER, keep=True)
    damage(store, how)
    assert set(in_pieces(store)) == set(rows_of(expected))
    assert "can't be used and is rebuilt" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        found = load_ledger(store, FOLDER, keep=True)
    assert "can't be used and is rebuilt" in caplog.text
    assert found.rows.equals(expected.rows)
    caplog.clear()
    assert load_ledger(store, FOLDER).rows.equals(expected.rows)
    assert not caplog.text


def test_a_store_that_takes_no_ledger_is_reported(tmp_path, caplog):
    store = Store(tmp_path)
    fill(store)
    store.write_bytes("ledgers", b"a file where a folder should be")
    assert len(load_ledger(store, FOLDER, keep=True).rows) == 2 * FEW_FILES
    assert "could not be written" in caplog.text


def test_a_file_that_is_there_is_never_written_again(tmp_path):
    store = Store(tmp_path)
    write(store, "shard-0", {"a": "ok"})
    before = store.read_bytes(f"{FOLDER}/shard-0.parquet")
    write(store, "shard-0", {"a": "quarantined"})
    assert store.read_bytes(f"{FOLDER}/shard-0.parquet") == before


def test_ledgers_work_in_stores_that_are_no_disk():
    store = Store("memory://ledger-test")
    fill(store)
    first = load_ledger(store, FOLDER, keep=True)
    assert store.exists(PATH)
    assert load_ledger(store, FOLDER).rows.equals(first.rows)
    assert sorted(in_pieces(store)) == rows_of(first)
    store.fs.rm("/ledger-test", recursive=True)


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of an S3 server on this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    client = boto3.client("s3", endpoint_url=address)
    client.create_bucket(Bucket="bucket")
    yield client
    server.stop()


def test_ledgers_work_in_buckets_where_others_write_too(bucket):
    store = Store("s3://bucket/store")
    fill(store)
    first = load_ledger(store, FOLDER, keep=True)
    data = store.read_bytes(f"{FOLDER}/shard-000.parquet")
    bucket.put_object(Bucket="bucket", Key=f"store/{FOLDER}/shard-other.parquet", Body=data)
    assert store.exists(f"{FOLDER}/shard-other.parquet")
    assert load_ledger(store, FOLDER).files == (*first.files, "shard-other.parquet")
    assert len(in_pieces(store)) == 2 * FEW_FILES + 2
    bucket.delete_object(Bucket="bucket", Key=f"store/{FOLDER}/shard-other.parquet")
    assert not store.exists(f"{FOLDER}/shard-other.parquet")
    assert load_ledger(store, FOLDER).rows.equals(first.rows)
    assert len(read_features(store, FOLDER).X) == FEW_FILES
