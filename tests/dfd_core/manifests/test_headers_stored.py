from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfd_core.datasets.sources import FolderSource
from dfd_core.manifests import SplitSpec, headers_stored, prepare, side_by_side
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


def kept_rows(store):
    folders = [f"headers/{name}" for name in store.names("headers")]
    return [store.read_provenance(f"{one}/{name}")["rows"] for one in folders for name in store.names(one)]


def test_each_distinct_file_has_a_row_and_is_read_once(store, manifest, monkeypatch):
    calls = []
    table = headers(store, manifest, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (14, 14)
    assert table["sample_id"].to_pylist() == sorted(set(manifest.table["sample_id"].to_pylist()))
    assert sorted(table["status"].to_pylist()) == ["empty", *["ok"] * 12, "undecodable"]
    assert kept_rows(store) == [14]
    monkeypatch.setattr(headers_stored, "read_file", lambda url: pytest.fail(f"{url} was read again"))
    assert headers(store, manifest).equals(table)


def test_what_was_read_before_a_kill_is_not_read_again(store, manifest, monkeypatch):
    monkeypatch.setattr(side_by_side, "KEPT_EVERY", 5)
    original, read = headers_stored.read_file, []

    def killed(done, total):
        if done > 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        headers(store, manifest, killed)
    kept = headers_stored.remembered_headers(store, "mine").rows().num_rows
    assert kept >= 7
    monkeypatch.setattr(headers_stored, "read_file", lambda url: (read.append(url), original(url))[1])
    table = headers(store, manifest)
    assert (len(read), table.num_rows) == (14 - kept, 14)


def test_one_file_more_is_one_file_read(store, manifest, put, tmp_path, monkeypatch):
    headers(store, manifest)
    put(tmp_path / "set", ["ffhq/real/more.png"])
    more = prepare(FolderSource(name="mine", folders=str(tmp_path / "set")), SplitSpec(), store)
    original, read = headers_stored.read_file, []
    monkeypatch.setattr(headers_stored, "read_file", lambda url: (read.append(url), original(url))[1])
    assert more.key != manifest.key
    assert headers(store, more).num_rows == 15
    assert [Path(url).name for url in read] == ["more.png"]
    assert headers(store, manifest).num_rows == 14


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
    assert kept_rows(store) == [14, 14]


def test_remote_files_are_read_too(memory, put, store):
    url = put(f"{memory}/set", [f"{place}/{i}.png" for i in range(3) for place in ("a/real", "b/fake")])
    manifest = prepare(FolderSource(name="far", folders=url), SplitSpec(), store)
    assert headers(store, manifest)["status"].to_pylist() == ["ok"] * 6
