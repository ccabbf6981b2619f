import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.features.files import write_feature_file
from dfd_core.features.pages import _plain_pages, read_vectors, read_width
from dfd_core.storage import Store


def parquet(X, ok, **options):
    values = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), X.shape[1], mask=pa.array(~ok))
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": np.arange(len(X)), "embedding": values}), buffer, **options)
    return buffer.getvalue()


OPTIONS = {
    "plain": {"compression": "none", "use_dictionary": False},
    "many pages": {"compression": "none", "use_dictionary": False, "data_page_size": 64, "write_batch_size": 8},
    "many row groups": {"compression": "none", "use_dictionary": False, "row_group_size": 3},
    "compressed": {"compression": "zstd", "use_dictionary": False},
    "dictionary": {"compression": "none", "use_dictionary": True},
    "second version of pages": {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
    "another encoding": {
        "compression": "none",
        "use_dictionary": False,
        "column_encoding": {"embedding.list.element": "BYTE_STREAM_SPLIT"},
    },
}


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 30), st.sampled_from(sorted(OPTIONS)))
def test_vectors_are_what_arrow_reads_however_they_were_written(good, width, kind):
    ok = np.array(good)
    X = np.random.default_rng(len(good)).normal(size=(len(ok), width)).astype(np.float32)
    data = parquet(X, ok, **OPTIONS[kind])
    assert read_width(data, "embedding") == width
    assert np.array_equal(read_vectors(data, "embedding", ok), X[ok])
    column = pq.read_table(pa.BufferReader(data))["embedding"].to_pylist()
    assert [row for row in column if row is not None] == X[ok].tolist()


def test_the_pages_of_feature_files_are_used_in_place(tmp_path):
    store, X = Store(tmp_path), np.random.default_rng(0).normal(size=(3000, 768)).astype(np.float32)
    rows = [(f"{i:064x}", "ok" if i % 7 else "missing", None if i % 7 else "gone") for i in range(len(X))]
    write_feature_file(store, "f/a.parquet", rows, X, {})
    data = store.read_buffer("f/a.parquet")
    pages = list(_plain_pages(data, pq.read_metadata(pa.BufferReader(data)), "embedding"))
    assert len(pages) == 1
    assert data.address <= pages[0].ctypes.data < data.address + data.size
    good = np.arange(3000) % 7 > 0
    assert np.array_equal(pages[0].reshape(-1, 768), X[good])


def test_another_number_of_rows_is_noticed():
    ok = np.ones(3, dtype=bool)
    data = parquet(np.ones((3, 2), np.float32), ok, **OPTIONS["plain"])
    with pytest.raises(ValueError, match="3 rows, not 2"):
        read_vectors(data, "embedding", ok[:2])


def test_what_is_no_parquet_file_is_an_error():
    with pytest.raises(ValueError, match="Parquet"):
        read_vectors(pa.py_buffer(b"no parquet file"), "embedding", np.ones(1, dtype=bool))
