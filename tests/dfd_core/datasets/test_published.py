"""Publishing to other places than a local disk: an object store as target, archives put there by hand."""

import io
import zipfile

import pytest

from dfd_core.datasets import DATASETS, beforehand, inventory
from dfd_core.datasets.acquire import acquire, is_acquired
from dfd_core.datasets.cards import Archive, Part
from dfd_core.errors import DatasetError, StoreError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.manifests.verifying import verify_files
from dfd_core.progress import Bytes
from dfd_core.storage import Store


@pytest.mark.parametrize("where", ["disk", "s3"])
@pytest.mark.parametrize("in_place", [False, True])
def test_archives_that_a_person_put_there(where, in_place, request, packed, near, tmp_path):
    store = Store(tmp_path if where == "disk" else f"{request.getfixturevalue('bucket')}/store")
    reals = {name: data for name, data in near.FILES.items() if name.startswith("img")}
    fakes = {name: data for name, data in near.FILES.items() if name.startswith("fake")}
    near.put(store, {"img_align_celeba.tar": packed("tar", reals), "more.zip": packed("zip", fakes)})
    source = near.SOURCE.model_copy(update={"options": {"in_place": in_place}})
    frame = prepare(source, SplitSpec(), store).frame
    assert len(frame) == 18
    for row in frame.itertuples():
        assert read_original(row.url, row.sample_id) in near.FILES.values()
    assert frame["url"].str.startswith("slice://").all() == in_place


def test_loose_files_stay_where_they_are_and_are_verified(near, tmp_path):
    store = Store(tmp_path)
    near.put(store, near.FILES)
    frame = prepare(near.SOURCE, SplitSpec(), store).frame
    assert frame["url"].str.contains("by_hand/celeba").all()
    assert [row["state"] for row in inventory.rows(store)] == ["ready"]


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_files_that_a_person_adds_later_are_taken(where, request, tmp_path, monkeypatch, packed, near):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "store" if where == "disk" else f"{request.getfixturevalue('bucket')}/store")
    near.put(store, near.FILES)
    first = prepare(near.SOURCE, SplitSpec(), store)
    assert is_acquired(near.SOURCE, store)
    assert prepare(near.SOURCE, SplitSpec(), store).key == first.key
    near.put(store, {"fake/attgan/0.png": b"\x89PNG 0", "more.zip": packed("zip", {"fake/relgan/0.png": b"\x89PNG 1"})})
    assert not is_acquired(near.SOURCE, store)
    assert [row["state"] for row in inventory.rows(store)] == ["new files by hand"]
    assert verify_files("celeba", store)[1] == []  # of what is there, news or not
    frame = prepare(near.SOURCE, SplitSpec(), store).frame
    assert set(frame["generator"]) == {"real", "stargan", "attgan", "relgan"}
    assert len(frame) == 20
    assert [row["state"] for row in inventory.rows(store)] == ["ready"]


def test_an_archive_that_was_unpacked_may_go_unless_another_one_comes(packed, near, tmp_path):
    store = Store(tmp_path)
    near.put(store, {"all.zip": packed("zip", near.FILES)})
    first = prepare(near.SOURCE, SplitSpec(), store)
    (tmp_path / "by_hand/celeba/all.zip").unlink()
    assert prepare(near.SOURCE, SplitSpec(), store).key == first.key
    near.put(store, {"more.zip": packed("zip", {"fake/relgan/0.png": b"\x89PNG 1"})})
    with pytest.raises(DatasetError, match=r"all\.zip, which it was made from, is gone or another file now"):
        prepare(near.SOURCE, SplitSpec(), store)
    near.put(store, {"all.zip": packed("zip", {**near.FILES, "fake/stargan/x.png": b"another"})})  # another one
    with pytest.raises(DatasetError, match="remove celeba --archives --forget"):
        prepare(near.SOURCE, SplitSpec(), store)
    inventory.remove("celeba", store, archives=True, forget=True)
    assert len(prepare(near.SOURCE, SplitSpec(), store).frame) == 20


def test_damage_is_found_and_named(near, tmp_path):
    store = Store(tmp_path)
    near.put(store, near.pictures())
    prepare(near.SOURCE, SplitSpec(), store)
    told = []
    assert verify_files("celeba", store, lambda *said: told.append("{} of {}".format(*said))) == (18, [])
    volume = Bytes(sum(path.stat().st_size for path in (tmp_path / "by_hand").rglob("*.*")))
    assert told[0] == f"0 bytes of {volume}, 0 of 18 files"
    assert told[-1] == f"{volume} of {volume}, 18 of 18 files"
    (tmp_path / "by_hand/celeba/fake/stargan/3.png").write_bytes(b"other")
    (tmp_path / "by_hand/celeba/fake/stargan/4.png").unlink()
    count, bad = verify_files("celeba", store)
    assert count == 18
    assert sorted(line.split(":")[0].rpartition("/")[2] for line in bad) == ["3.png", "4.png"]
    with pytest.raises(DatasetError, match="no manifest of other"):
        verify_files("other", store)


def test_a_compressed_member_cannot_be_read_in_place(near, tmp_path):
    store = Store(tmp_path)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in near.FILES.items():
            archive.writestr(name, data * 10)
    near.put(store, {"all.zip": file.getvalue()})
    with pytest.raises(DatasetError, match="is compressed in it"):
        acquire(near.SOURCE.model_copy(update={"options": {"in_place": True}}), store)


@pytest.mark.parametrize(
    "names",
    [
        ("ADM 1.zip", "ADM_1.zip", "ADM(1).zip"),
        ("\u6570\u636e.zip", "\u0434\u0430\u043d\u043d\u044b\u0435.zip"),
        ("a.zip", "_a.zip", "a.tar"),
    ],
)
def test_archives_whose_names_differ_by_what_paths_may_not_have_are_all_there(names, packed, near, tmp_path):
    store = Store(tmp_path)
    for i, name in enumerate(names):
        near.put(store, {name: packed(name[-3:], {path: data + b" %d" % i for path, data in near.FILES.items()})})
    frame = prepare(near.SOURCE, SplitSpec(), store).frame
    assert len(frame) == frame["sample_id"].nunique() == 18 * len(names)
    for row in frame.itertuples():
        assert read_original(row.url, row.sample_id)
    if "ADM_1.zip" in names:  # it needs no other name
        assert sum(path.startswith("images/ADM_1/") for path in frame["path"]) == 18


def test_what_is_there_loose_and_in_place_is_told_before_anything_is_written(packed, near, tmp_path):
    store = Store(tmp_path)
    fakes = {f"stargan/{i}.png": b"\x89PNG %d" % i for i in range(3)}
    near.put(store, {**near.FILES, "fake.zip": packed("zip", fakes)})
    source = near.SOURCE.model_copy(update={"options": {"in_place": True}})
    with pytest.raises(DatasetError, match=r"3 images are there twice, such as fake/stargan/0\.png"):
        prepare(source, SplitSpec(), store)
    (tmp_path / "by_hand/celeba/fake.zip").unlink()
    assert len(prepare(source, SplitSpec(), store).frame) == 18


def test_half_a_dataset_is_an_error(near, tmp_path):
    store = Store(tmp_path)
    near.put(store, {name: data for name, data in near.FILES.items() if name.startswith("img")})
    with pytest.raises(DatasetError, match="not of both classes"):
        acquire(near.SOURCE, store)


@pytest.mark.parametrize("whole", [False, True])
def test_files_that_are_of_no_use_are_told_before_anything_is_fetched_or_unpacked(
    whole, packed, serve, tmp_path, monkeypatch, near
):
    store = Store(tmp_path)
    address, server = serve(packed("zip", {name: data for name, data in near.FILES.items() if name.startswith("fake")}))
    archive = Archive(name="fakes", kind="zip", parts=(Part(address=address),))
    card = DATASETS["celeba"].model_copy(update={"archives": (archive,)})
    monkeypatch.setitem(DATASETS._entries, "celeba", card)
    odd = {"holidays/1.png": b"\x89PNG", "holidays/2.png": b"\x89PNG"}
    near.put(store, {"holidays.zip": packed("zip", odd)} if whole else odd)
    for act in (
        lambda: prepare(near.SOURCE, SplitSpec(), store),
        lambda: beforehand.to_fetch(card, card.options(), store),
    ):
        with pytest.raises(
            DatasetError, match=r"has no image that fits.*Put img_align_celeba\.zip, and fakes as fake/<g"
        ):
            act()
    assert server.answers == 0
    near.put(store, {name: data for name, data in near.FILES.items() if name.startswith("img")})
    assert len(prepare(near.SOURCE, SplitSpec(), store).frame) == 18


def test_what_is_missing_beside_an_archive_is_told_before_it_is_unpacked(tmp_path, caplog, packed, near):
    store = Store(tmp_path)
    reals = {name: data for name, data in near.FILES.items() if name.startswith("img")}
    near.put(store, {"img_align_celeba.zip": packed("zip", reals), "stargan/0.png": b"\x89PNG"})
    with pytest.raises(DatasetError, match="has real images alone, not of both classes.*fake/<generator>/"):
        prepare(near.SOURCE, SplitSpec(), store)
    assert not (tmp_path / "datasets").exists()
    near.put(store, {"fake/stargan/0.png": b"\x89PNG"})
    assert len(prepare(near.SOURCE, SplitSpec(), store).frame) == 10
    assert "1 of 2 loose images" in caplog.text
    assert "stargan/0.png" in caplog.text
    other = Store(tmp_path / "other")
    near.put(other, {"all.zip": packed("zip", near.FILES)[:-30]})
    with pytest.raises(DatasetError, match="is for you to replace"):
        beforehand.check(DATASETS["celeba"], DATASETS["celeba"].options(), other)


def test_a_bucket_that_is_not_there_is_named(bucket, near):
    store = Store("s3://nosuchbucket99/st")
    for act in (
        lambda: inventory.rows(store),
        lambda: inventory.remove("genimage", store, archives=True, forget=False),
        lambda: prepare(near.SOURCE, SplitSpec(), store),
    ):
        with pytest.raises(
            StoreError, match=r"Could not list s3://nosuchbucket99/st/by_hand/\w+: there is no such bucket"
        ):
            act()


def test_a_limit_of_bytes_does_not_make_another_dataset(tmp_path):
    card = DATASETS["celeba"]
    folders = {card.folder(card.read_options({"sample": 3, **more})) for more in ({}, {"max_bytes": 5})}
    assert len(folders) == 1
    assert beforehand.archives_of(card) == []
    beforehand.check(card.model_copy(update={"by_hand": None}), card.read_options({"max_bytes": 5}), Store(tmp_path))


@pytest.mark.parametrize("where", ["disk", "s3"])
@pytest.mark.parametrize("larger", [False, True])
def test_an_archive_that_a_person_replaced(where, larger, request, tmp_path, monkeypatch, packed, near):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "store" if where == "disk" else f"{request.getfixturevalue('bucket')}/store")
    near.put(store, {"all.tar": packed("tar", near.FILES)})
    prepare(near.SOURCE, SplitSpec(), store)
    assert inventory.rows(store) == [{"name": "celeba", "state": "ready", "archives": "1 of 1"}]
    told = []
    assert inventory.verify_archives("celeba", store, lambda *said: told.append(said)) == []
    size = len(packed("tar", near.FILES))
    copies = 1 if where == "disk" else 2  # on this machine and in the bucket
    assert told[-1] == (copies * size, copies * size)
    assert {type(number) for said in told for number in said} == {Bytes}
    more = {"fake/stargan/x.png": b"another" * 10_000} if larger else {}
    near.put(store, {"all.tar": packed("tar", {**near.FILES, "fake/stargan/0.png": b"\x89PNG FAKE 0", **more})})
    (problem,) = inventory.verify_archives("celeba", store)
    assert "by_hand/celeba/all.tar has the SHA-256" in problem
    inventory.remove("celeba", store, archives=False, forget=False)
    if where == "disk":
        with pytest.raises(DatasetError, match="Put the file there that it was.*remove NAME --archives --forget"):
            prepare(near.SOURCE, SplitSpec(), store)
    inventory.remove("celeba", store, archives=True, forget=True)
    assert store.exists("by_hand/celeba/all.tar")
    assert len(prepare(near.SOURCE, SplitSpec(), store).frame) == 18 + larger
    assert inventory.verify_archives("celeba", store) == []
