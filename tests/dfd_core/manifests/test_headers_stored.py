from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfd_core.datasets.sources import FolderSource
from dfd_core.manifests import SplitSpec, headers_stored, prepare
from dfd_core.manifests.headers_stored import headers
from dfd_core.storage import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def manifest(tmp_path, put, store):
    paths = [f"{place}/{i}.png" for i in range(6) for place in ("ffhq/real", "stylegan/fake")]
    put(tmp_path / "set", paths)
    (tmp_path / "set/ffhq/real/empty.png").write_bytes(b"")
    (tmp_path / "set/ffhq/real/page.png").write_bytes(b"<html>")
    return prepare(FolderSource(name="mine", folders=str(tmp_path / "set")), SplitSpec(), store)


def test_each_distinct_file_has_a_row_and_is_read_once(store, manifest, monkeypatch):
    calls = []
    table = headers(store, manifest, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (14, 14)
    assert table["sample_id"].to_pylist() == sorted(set(manifest.table["sample_id"].to_pylist()))
    assert sorted(table["status"].to_pylist()) == ["empty", *["ok"] * 12, "undecodable"]
    assert store.read_provenance(f"headers/{manifest.key}.parquet")["files_read"] == 14
    monkeypatch.setattr(headers_stored, "read_file", lambda url: pytest.fail(f"{url} was read again"))
    assert headers(store, manifest).equals(table)


def test_what_was_read_before_a_kill_is_not_read_again(store, manifest, monkeypatch):
    monkeypatch.setattr(headers_stored, "_KEPT_EVERY", 5)
    read, original = [], headers_stored.read_headers

    def killed(urls, ids):
        if read:
            raise KeyboardInterrupt
        read.extend(ids)
        return original(urls, ids)

    monkeypatch.setattr(headers_stored, "read_headers", killed)
    with pytest.raises(KeyboardInterrupt):
        headers(store, manifest)
    monkeypatch.setattr(headers_stored, "read_headers", lambda *a: (read.extend(a[1]), original(*a))[1])
    table = headers(store, manifest)
    assert len(read) == len(set(read)) == table.num_rows == 14


def test_missing_and_changed_files_are_rows_that_are_looked_for_again(store, manifest):
    rows = manifest.frame[manifest.frame["format"].notna()].sort_values("path")
    gone, changed = rows.iloc[0], rows.iloc[1]
    kept = Path(gone["url"]).read_bytes()
    Path(gone["url"]).unlink()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(changed["url"])
    table = headers(store, manifest).to_pandas().set_index("sample_id")
    assert table.loc[gone["sample_id"], "status"] == "missing"
    assert "No such file" in table.loc[gone["sample_id"], "error"]
    assert table.loc[changed["sample_id"], "status"] == "changed"
    Path(gone["url"]).write_bytes(kept)
    again = headers(store, manifest).to_pandas().set_index("sample_id")
    assert again.loc[gone["sample_id"], "status"] == "ok"
    assert len(again) == len(table) == 14


def test_another_revision_is_read_anew(store, manifest, monkeypatch):
    first = headers(store, manifest)
    monkeypatch.setattr(headers_stored, "REVISION", headers_stored.REVISION + 1)
    assert headers(store, manifest).equals(first)
    facts = store.read_provenance(f"headers/{manifest.key}.parquet")
    assert (facts["files_read"], facts["revision"]) == (14, headers_stored.REVISION)


def test_remote_files_are_read_too(memory, put, store):
    url = put(f"{memory}/set", [f"{place}/{i}.png" for i in range(3) for place in ("a/real", "b/fake")])
    manifest = prepare(FolderSource(name="far", folders=url), SplitSpec(), store)
    assert headers(store, manifest)["status"].to_pylist() == ["ok"] * 6
