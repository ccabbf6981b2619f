"""Of several manifests of a dataset, the ones that are of its files as they are."""

import os

import pytest

from dfd_core.datasets import CatalogueSource, FolderSource, own_cards
from dfd_core.manifests import SplitSpec, keep, prepare
from dfd_core.manifests.standing import standing
from dfd_core.manifests.verifying import verify_files
from dfd_core.storage import Store

PATHS = [f"{place}/{i:03}.png" for i in range(10) for place in ("ffhq/real", "stylegan/fake")]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def mine(folder, **options) -> FolderSource:
    return FolderSource(name="mine", folders=folder, **options)


def keys(store, **options):
    return [manifest.key for manifest in standing("mine", store, **options)]


def test_the_files_as_they_are_count_and_not_as_they_were(tmp_path, store, put, png):
    folder = put(tmp_path / "set", PATHS)
    first = prepare(mine(folder), SplitSpec(), store)
    for change in range(5):  # else the order of keys, which is that of chance, might do
        put(folder, {"ffhq/real/003.png": png(f"changed {change}")})
        (tmp_path / "set/stylegan/fake" / f"00{change}.png").unlink()
        last = prepare(mine(folder), SplitSpec(), store)
        assert keys(store) == [last.key]
        assert verify_files("mine", store) == (19 - change, [])
    assert len(store.names("manifests", ".parquet")) == 6
    assert first.counts()["samples"] == 20
    put(folder, {"ffhq/real/003.png": b"damaged"})
    (problem,) = verify_files("mine", store)[1]
    assert "003.png" in problem


def test_files_that_are_again_as_they_were_count_again(tmp_path, store, put, png):
    folder, path = put(tmp_path / "set", PATHS), tmp_path / "set/ffhq/real/003.png"
    versions = [png("a"), png("b"), png("c")]
    made = {}
    for version in (0, 1, 0, 2, 0, 1):
        path.write_bytes(versions[version])
        os.utime(path, ns=(version, version))
        manifest = prepare(mine(folder), SplitSpec(), store)
        assert made.setdefault(version, manifest.key) == manifest.key
        assert keys(store) == [manifest.key]
        assert verify_files("mine", store) == (20, [])


def test_each_source_and_split_has_one_that_counts(tmp_path, store, put):
    folder, other = put(tmp_path / "set", PATHS), put(tmp_path / "other", PATHS)
    split = SplitSpec(seed=5)
    prepare(mine(folder), SplitSpec(), store)
    prepare(mine(folder), split, store)
    prepare(mine(other), SplitSpec(), store)
    assert len(keys(store)) == 3
    put(folder, {"ffhq/real/new.png": b"new"})
    last = prepare(mine(folder), split, store)
    assert len(keys(store)) == 3
    assert keys(store)[-1] == last.key
    assert len(keys(store, of_each_split=False)) == 2
    (tmp_path / "set/ffhq/real/000.png").unlink()
    prepare(mine(folder), SplitSpec(), store)
    assert verify_files("mine", store)[1] == []


def test_a_source_is_one_however_it_is_said(tmp_path, store, put, png):
    folder = put(tmp_path / "set", PATHS)
    own_cards.keep(mine(folder), store)
    prepare(mine(folder), SplitSpec(), store)
    put(folder, {"ffhq/real/003.png": png("changed")})
    by_name = CatalogueSource(catalogue="mine", name="mine")
    last = prepare(by_name, SplitSpec(), store)
    assert keys(store) == [last.key]
    own_cards.forget("mine", store)  # now nobody knows what the name stood for
    assert len(keys(store)) == 2
    options = {"images_per_class": 3, "size": 64}
    made = CatalogueSource(catalogue="simulated", name="simulated", options=options)
    manifest = prepare(made, SplitSpec(), store)
    facts = {**manifest.provenance, "source": {**made.model_dump(mode="json"), "options": {**options, "seed": 0}}}
    store.write_table("manifests/simulated-000000000000.parquet", manifest.table, facts)
    assert len(standing("simulated", store)) == 1


def test_what_was_imported_stays(tmp_path, store, put):
    table = prepare(mine(put(tmp_path / "set", PATHS)), SplitSpec(), store).table
    for content in ("0" * 12, "1" * 12):
        keep(store, "mine", content, table)
    assert len(keys(store)) == 3
