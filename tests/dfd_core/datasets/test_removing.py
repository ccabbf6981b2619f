"""What goes with a dataset that is removed, and what stays."""

import pytest

from dfd_core.datasets import DATASETS, CatalogueSource, beforehand, inventory, published, shelf
from dfd_core.datasets.cards import Archive, Part
from dfd_core.datasets.downloading import Fetching
from dfd_core.errors import DatasetError
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.manifests.verifying import verify_files
from dfd_core.storage import Store


def test_half_a_removed_dataset_is_not_taken_for_whole(packed, near, tmp_path):
    store = Store(tmp_path)
    near.put(store, {"all.tar": packed("tar", near.FILES)})
    prepare(near.SOURCE, SplitSpec(), store)

    def stop(done, total):
        assert total == 18
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inventory.remove("celeba", store, archives=False, forget=False, progress=stop)
    assert len([path for path in (tmp_path / "datasets").rglob("*") if path.is_file()]) == 13
    assert inventory.rows(store)[0]["state"] == "not complete"
    assert len(inventory.remove("celeba", store, archives=False, forget=False, progress=lambda *_: None)) == 1
    assert store.names("datasets") == []


def test_removing_takes_halves_what_was_unpacked_and_what_a_star_stood_for(tmp_path):
    store = Store(tmp_path)
    (pattern,) = {part.address for archive in DATASETS["community_forensics_small"].archives for part in archive.parts}
    assert "*" in pattern
    part = Part(address=pattern.replace("*", "00007"))
    store.write_bytes(shelf.place(part), b"1")
    store.write_json(f"{shelf.place(part)}.json", {"address": part.address, "size": 1, "sha256": "0"})
    (outer, *_), inner = DATASETS["forensynths_train"].archives[0].parts, "progan_train-inside"
    folder = shelf.place(outer).rpartition("/")[0]
    for name in (inner, f".{outer.name}.partial", f".{outer.name}.journal"):
        store.write_bytes(f"{folder}/{name}", b"1")
    there = {row["name"]: row["archives"] for row in inventory.rows(store)}
    parts = sum(len(archive.parts) for archive in DATASETS["forensynths_train"].archives)
    assert there == {
        "community_forensics_small": "1 of 1",
        "forensynths_train": f"0 of {parts}, 1 half fetched",
    }
    assert len(inventory.verify_archives("community_forensics_small", store)) == 1
    assert inventory.remove("community_forensics_small", store, archives=True, forget=False) == [
        store.url(shelf.place(part))
    ]
    assert len(inventory.remove("forensynths_train", store, archives=True, forget=False)) == 2
    assert [path.suffix for path in (tmp_path / "archives").rglob("*") if path.is_file()] == [".json"]


def test_archives_that_another_dataset_needs_are_told_apart_from_a_datasets_own(tmp_path):
    store = Store(tmp_path)
    (archive,) = DATASETS["ufd_diffusion"].archives
    assert (archive,) == DATASETS["ufd_guided"].archives
    (part,) = archive.parts
    store.write_bytes(shelf.place(part), b"1")
    assert [row["name"] for row in inventory.rows(store)] == ["ufd_diffusion", "ufd_guided"]
    with pytest.raises(DatasetError, match="nothing of ufd_diffusion in .* but archives, which go with --archives"):
        inventory.remove("ufd_diffusion", store, archives=False, forget=False)
    for name in ("ufd_diffusion", "ufd_guided"):
        store.write_json(f"datasets/{name}-0/dataset.json", {"dataset": name})
    assert len(inventory.remove("ufd_diffusion", store, archives=True, forget=False)) == 1
    with pytest.raises(DatasetError, match="but archives that ufd_guided needs too, and that go with it"):
        inventory.remove("ufd_diffusion", store, archives=True, forget=False)
    assert inventory.rows(store) == [{"name": "ufd_guided", "state": "ready", "archives": "1 of 1"}]
    assert len(inventory.remove("ufd_guided", store, archives=True, forget=False)) == 2
    assert inventory.rows(store) == []
    with pytest.raises(DatasetError, match=r"nothing of ufd_guided in [^ ]*\. "):
        inventory.remove("ufd_guided", store, archives=True, forget=False)


def test_removing_leaves_what_a_person_put_there(near, tmp_path):
    store = Store(tmp_path)
    near.put(store, near.FILES)
    prepare(near.SOURCE, SplitSpec(), store)
    assert len(inventory.remove("celeba", store, archives=True, forget=True)) == 1
    assert len(list((tmp_path / "by_hand").rglob("*.png"))) == 9
    with pytest.raises(DatasetError, match="nothing of celeba"):
        inventory.remove("celeba", store, archives=True, forget=False)


def test_removing_takes_copies_in_a_bucket_and_halves_of_what_a_star_stands_for(
    bucket, serve, tmp_path, monkeypatch, packed, near
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(f"{bucket}/store")
    data = packed("tar", {**near.FILES})
    address, server = serve(data, cut_after=100, cuts=10**9, ranges=False)
    old = DATASETS["deepfakeface_wiki_crop"]
    archive = Archive(name="all", kind="tar", parts=(Part(address=f"{address}*"),))
    rules = DATASETS["celeba"].rules
    rules = tuple(rule.model_copy(update={"pattern": f"all-[0-9]+/{rule.pattern}"}) for rule in rules)
    new = {"archives": (archive,), "rules": rules, "by_hand": None}
    monkeypatch.setitem(DATASETS._entries, old.name, old.model_copy(update=new))
    monkeypatch.setattr(beforehand, "expand", lambda _: [address, f"{address}2"])
    monkeypatch.setattr(published, "Fetching", lambda **_: Fetching(attempts=1))
    source = CatalogueSource(catalogue=old.name, name=old.name, options={"in_place": True})
    with pytest.raises(DatasetError, match="can't be downloaded now"):
        prepare(source, SplitSpec(), store)
    (row,) = inventory.rows(store)
    assert row["archives"] == "0 of 1, 1 half fetched"
    assert len(inventory.remove(old.name, store, archives=True, forget=False)) == 1
    assert files_below(tmp_path / "cache") == []
    server.cut_after = None
    prepare(source, SplitSpec(), store)
    assert len(store.fs.find(store.root + "/archives")) == 4
    removed = inventory.remove(old.name, store, archives=True, forget=True)
    assert len([one for one in removed if one.endswith(("file", "file2"))]) == 4
    assert store.fs.find(store.root + "/archives") == []
    assert files_below(tmp_path / "cache") == []


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")]


def test_what_was_removed_on_purpose_is_no_damage(packed, near, tmp_path):
    store = Store(tmp_path)
    near.put(store, {"all.zip": packed("zip", near.pictures())})
    prepare(near.SOURCE.model_copy(update={"options": {"sample": 3}}), SplitSpec(), store)
    inventory.remove("celeba", store, archives=False, forget=False)
    with pytest.raises(DatasetError, match="files of celeba are not in"):
        verify_files("celeba", store)
    prepare(near.SOURCE, SplitSpec(), store)
    assert verify_files("celeba", store) == (18, [])
    (image,) = tmp_path.glob("datasets/celeba-*/images/all/fake/stargan/3.png")
    image.unlink()
    assert len(verify_files("celeba", store)[1]) == 1
