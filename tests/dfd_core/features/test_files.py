import hashlib
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.errors import StoreError
from dfd_core.features.files import read_failures, read_features, read_statuses, write_feature_file
from dfd_core.features.ledger import FEW_FILES, load_ledger
from dfd_core.storage import Store


def write(store, name, ids, X, failed=()):
    rows = [(i, "truncated" if i in failed else "ok", "cut" if i in failed else None) for i in ids]
    write_feature_file(store, f"f/{name}.parquet", rows, X, {"n": len(ids)})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 9), st.integers(1, 5), st.randoms())
def test_vectors_come_back_bit_for_bit_with_their_samples(tmp_path_factory, good, width, parts, random):
    store = Store(tmp_path_factory.mktemp("store"))
    ids = [f"{i:064x}" for i in range(len(good))]
    random.shuffle(ids)
    X = np.random.default_rng(random.randrange(1000)).normal(size=(len(ids), width)).astype(np.float32)
    failed = {i for i, ok in zip(ids, good, strict=True) if not ok}
    for part in range(parts):
        if ids[part::parts]:
            write(store, f"shard-{part}", ids[part::parts], X[part::parts], failed)
    table = read_features(store, "f")
    expected = sorted(i for i in ids if i not in failed)
    assert table.sample_ids.tolist() == expected
    assert np.array_equal(table.X, X[[ids.index(i) for i in expected]].reshape(len(expected), width))
    assert table.X.dtype == np.float32
    assert set(table.failed) == failed
    assert read_statuses(store, "f") == {i: "truncated" if i in failed else "ok" for i in ids}
    assert read_failures(store, "f") == [(i, "truncated", "cut") for i in sorted(failed)]


def test_a_later_success_wins_over_a_failure(tmp_path):
    store = Store(tmp_path)
    X = np.ones((2, 3), np.float32)
    write(store, "shard-z", ["a", "b"], X, failed={"a"})
    write(store, "shard-a-retry1", ["a"], 2 * X[:1])
    table = read_features(store, "f")
    assert table.sample_ids.tolist() == ["a", "b"]
    assert table.X[0].tolist() == [2, 2, 2]
    assert table.failed == {}
    assert read_statuses(store, "f") == {"a": "ok", "b": "ok"}
    assert read_failures(store, "f") == []


def test_failed_rows_are_null_and_the_rest_is_fixed_size_float32(tmp_path):
    store = Store(tmp_path)
    write(store, "shard-0", ["a", "b"], np.ones((2, 3), np.float32), failed={"a"})
    table = pq.read_table(tmp_path / "f" / "shard-0.parquet")
    assert str(table.schema.field("embedding").type).startswith("fixed_size_list<")
    assert table.schema.field("embedding").type.list_size == 3
    assert table["embedding"].to_pylist() == [None, [1.0, 1.0, 1.0]]
    assert store.read_provenance("f/shard-0.parquet") == {"n": 2}


def test_no_features_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="no features in .*dfd extract"):
        read_features(Store(tmp_path), "f")


def test_mixed_widths_are_refused(tmp_path):
    store = Store(tmp_path)
    write(store, "shard-0", ["a"], np.ones((1, 3), np.float32))
    write(store, "shard-1", ["b"], np.ones((1, 4), np.float32))
    with pytest.raises(StoreError, match=r"widths \[3, 4\]"):
        read_features(store, "f")


def test_nothing_as_large_as_the_vectors_is_made_beside_them(tmp_path):
    store, X = Store(tmp_path), np.random.default_rng(0).normal(size=(20_000, 512)).astype(np.float32)
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(len(X))]
    for start in range(0, len(X), 1000):
        write(store, f"shard-{start}", ids[start : start + 1000], X[start : start + 1000], {ids[start]})
    load_ledger(store, "f", keep=True)
    read_features(store, "f")
    tracemalloc.start()
    table = read_features(store, "f")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(table.X) == 19_980
    assert peak < 1.5 * X.nbytes
    indices, missing = table.rows(ids)
    assert np.array_equal(table.X[indices], X[~missing])


def test_files_of_an_older_layout_are_read(tmp_path):
    """Small compressed pages, as other writers make them, beside ours."""
    store, X = Store(tmp_path), np.random.default_rng(0).normal(size=(200, 30)).astype(np.float32)
    ids = [f"{i:064x}" for i in range(200)]
    write(store, "shard-0", ids[:100], X[:100], {ids[3]})
    write(store, "shard-1", ids[100:], X[100:], {ids[150]})
    table = store.read_table("f/shard-1.parquet")
    store.write_table("f/shard-1.parquet", table, {}, data_page_size=100, compression="zstd")
    found = read_features(store, "f")
    assert np.array_equal(found.X, np.delete(X, [3, 150], axis=0))
    assert found.failed == {ids[3]: "truncated", ids[150]: "truncated"}


@pytest.mark.parametrize("where", [1000, -2000, -4])
def test_a_damaged_feature_file_is_named(tmp_path, where):
    store = Store(tmp_path)
    write(store, "shard-0", ["a", "b"], np.ones((2, 600), np.float32))
    data = store.read_bytes("f/shard-0.parquet")
    store.write_bytes("f/shard-0.parquet", data[:where])
    with pytest.raises(StoreError, match=r"shard-0\.parquet is not a readable .* file .*delete it"):
        read_features(store, "f")


def test_a_file_that_has_other_rows_than_the_ledger_says_is_named(tmp_path):
    store = Store(tmp_path)
    for name in range(FEW_FILES):
        write(store, f"shard-{name:02}", [f"{name}"], np.ones((1, 3), np.float32))
    load_ledger(store, "f", keep=True)
    (tmp_path / "f" / "shard-07.parquet").unlink()
    write(store, "shard-07", ["7", "8"], np.ones((2, 3), np.float32))
    with pytest.raises(StoreError, match=r"shard-07\.parquet .*2 rows, not 1"):
        read_features(store, "f")
