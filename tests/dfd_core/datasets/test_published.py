"""Publishing to other places than a local disk: an object store as target, archives put there by hand."""

import io
import tarfile
import zipfile

import pytest

from dfd_core.datasets import DATASETS, CatalogueSource, beforehand, inventory, published, shelf
from dfd_core.datasets.acquire import acquire, is_acquired
from dfd_core.datasets.cards import Archive, Part
from dfd_core.datasets.downloading import Fetching
from dfd_core.errors import DatasetError, StoreError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.manifests.verifying import verify_files
from dfd_core.progress import Bytes
from dfd_core.storage import Store

FILES = {
    **{f"img_align_celeba/{i:06d}.jpg": b"\xff\xd8\xff real %d" % i for i in range(9)},
    **{f"fake/stargan/{i}.png": b"\x89PNG fake %d" % i for i in range(9)},
}
SOURCE = CatalogueSource(catalogue="celeba", name="celeba")


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def put(store, files):
    for name, data in files.items():
        store.write_bytes(f"by_hand/celeba/{name}", data)


@pytest.mark.parametrize("where", ["disk", "s3"])
@pytest.mark.parametrize("in_place", [False, True])
def test_archives_that_a_person_put_there(where, in_place, request, tmp_path):
    store = Store(tmp_path if where == "disk" else f"{request.getfixturevalue('bucket')}/store")
    reals = {name: data for name, data in FILES.items() if name.startswith("img")}
    fakes = {name: data for name, data in FILES.items() if name.startswith("fake")}
    put(store, {"img_align_celeba.tar": tarred(reals), "more.zip": zipped(fakes)})
    source = SOURCE.model_copy(update={"options": {"in_place": in_place}})
    frame = prepare(source, SplitSpec(), store).frame
    assert len(frame) == 18
    for row in frame.itertuples():
        assert read_original(row.url, row.sample_id) in FILES.values()
    assert frame["url"].str.startswith("slice://").all() == in_place


def test_loose_files_stay_where_they_are_and_are_verified(tmp_path):
    store = Store(tmp_path)
    put(store, FILES)
    frame = prepare(SOURCE, SplitSpec(), store).frame
    assert frame["url"].str.contains("by_hand/celeba").all()
    assert [row["state"] for row in inventory.rows(store)] == ["ready"]


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_files_that_a_person_adds_later_are_taken(where, request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "store" if where == "disk" else f"{request.getfixturevalue('bucket')}/store")
    put(store, FILES)
    first = prepare(SOURCE, SplitSpec(), store)
    assert is_acquired(SOURCE, store)
    assert prepare(SOURCE, SplitSpec(), store).key == first.key
    put(store, {"fake/attgan/0.png": b"\x89PNG 0", "more.zip": zipped({"fake/relgan/0.png": b"\x89PNG 1"})})
    assert not is_acquired(SOURCE, store)
    assert [row["state"] for row in inventory.rows(store)] == ["new files by hand"]
    assert verify_files("celeba", store)[1] == []  # of what is there, news or not
    frame = prepare(SOURCE, SplitSpec(), store).frame
    assert set(frame["generator"]) == {"real", "stargan", "attgan", "relgan"}
    assert len(frame) == 20
    assert [row["state"] for row in inventory.rows(store)] == ["ready"]


def test_an_archive_that_was_unpacked_may_go_unless_another_one_comes(tmp_path):
    store = Store(tmp_path)
    put(store, {"all.zip": zipped(FILES)})
    first = prepare(SOURCE, SplitSpec(), store)
    (tmp_path / "by_hand/celeba/all.zip").unlink()
    assert prepare(SOURCE, SplitSpec(), store).key == first.key
    put(store, {"more.zip": zipped({"fake/relgan/0.png": b"\x89PNG 1"})})
    with pytest.raises(DatasetError, match=r"all\.zip, which it was made from, is gone or another file now"):
        prepare(SOURCE, SplitSpec(), store)
    put(store, {"all.zip": zipped({**FILES, "fake/stargan/x.png": b"another"})})  # another one
    with pytest.raises(DatasetError, match="remove celeba --archives --forget"):
        prepare(SOURCE, SplitSpec(), store)
    inventory.remove("celeba", store, archives=True, forget=True)
    assert len(prepare(SOURCE, SplitSpec(), store).frame) == 20


def test_damage_is_found_and_named(tmp_path):
    from PIL import Image

    store = Store(tmp_path)
    for name in FILES:
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (len(name), hash_of(name), 0)).save(file, "PNG")
        put(store, {name: file.getvalue()})
    prepare(SOURCE, SplitSpec(), store)
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


def hash_of(name):
    return sum(map(ord, name)) % 256


def test_a_compressed_member_cannot_be_read_in_place(tmp_path):
    store = Store(tmp_path)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data * 10)
    put(store, {"all.zip": file.getvalue()})
    with pytest.raises(DatasetError, match="is compressed in it"):
        acquire(SOURCE.model_copy(update={"options": {"in_place": True}}), store)


def test_half_a_removed_dataset_is_not_taken_for_whole(tmp_path):
    store = Store(tmp_path)
    put(store, {"all.tar": tarred(FILES)})
    prepare(SOURCE, SplitSpec(), store)

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


@pytest.mark.parametrize(
    "names",
    [
        ("ADM 1.zip", "ADM_1.zip", "ADM(1).zip"),
        ("\u6570\u636e.zip", "\u0434\u0430\u043d\u043d\u044b\u0435.zip"),
        ("a.zip", "_a.zip", "a.tar"),
    ],
)
def test_archives_whose_names_differ_by_what_paths_may_not_have_are_all_there(names, tmp_path):
    store = Store(tmp_path)
    kinds = {"zip": zipped, "tar": tarred}
    for i, name in enumerate(names):
        put(store, {name: kinds[name[-3:]]({path: data + b" %d" % i for path, data in FILES.items()})})
    frame = prepare(SOURCE, SplitSpec(), store).frame
    assert len(frame) == frame["sample_id"].nunique() == 18 * len(names)
    for row in frame.itertuples():
        assert read_original(row.url, row.sample_id)
    if "ADM_1.zip" in names:  # it needs no other name
        assert sum(path.startswith("images/ADM_1/") for path in frame["path"]) == 18


def test_what_is_there_loose_and_in_place_is_told_before_anything_is_written(tmp_path):
    store = Store(tmp_path)
    fakes = {f"stargan/{i}.png": b"\x89PNG %d" % i for i in range(3)}
    put(store, {**FILES, "fake.zip": zipped(fakes)})
    source = SOURCE.model_copy(update={"options": {"in_place": True}})
    with pytest.raises(DatasetError, match=r"3 images are there twice, such as fake/stargan/0\.png"):
        prepare(source, SplitSpec(), store)
    (tmp_path / "by_hand/celeba/fake.zip").unlink()
    assert len(prepare(source, SplitSpec(), store).frame) == 18


def test_half_a_dataset_is_an_error(tmp_path):
    store = Store(tmp_path)
    put(store, {name: data for name, data in FILES.items() if name.startswith("img")})
    with pytest.raises(DatasetError, match="not of both classes"):
        acquire(SOURCE, store)


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_are_of_no_use_are_told_before_anything_is_fetched_or_unpacked(packed, serve, tmp_path, monkeypatch):
    store = Store(tmp_path)
    address, server = serve(zipped({name: data for name, data in FILES.items() if name.startswith("fake")}))
    archive = Archive(name="fakes", kind="zip", parts=(Part(address=address),))
    card = DATASETS["celeba"].model_copy(update={"archives": (archive,)})
    monkeypatch.setitem(DATASETS._entries, "celeba", card)
    odd = {"holidays/1.png": b"\x89PNG", "holidays/2.png": b"\x89PNG"}
    put(store, {"holidays.zip": zipped(odd)} if packed else odd)
    for act in (lambda: prepare(SOURCE, SplitSpec(), store), lambda: beforehand.to_fetch(card, card.options(), store)):
        with pytest.raises(
            DatasetError, match=r"has no image that fits.*Put img_align_celeba\.zip, and fakes as fake/<g"
        ):
            act()
    assert server.answers == 0
    put(store, {name: data for name, data in FILES.items() if name.startswith("img")})
    assert len(prepare(SOURCE, SplitSpec(), store).frame) == 18


def test_what_is_missing_beside_an_archive_is_told_before_it_is_unpacked(tmp_path, caplog):
    store = Store(tmp_path)
    reals = {name: data for name, data in FILES.items() if name.startswith("img")}
    put(store, {"img_align_celeba.zip": zipped(reals), "stargan/0.png": b"\x89PNG"})
    with pytest.raises(DatasetError, match="has real images alone, not of both classes.*fake/<generator>/"):
        prepare(SOURCE, SplitSpec(), store)
    assert not (tmp_path / "datasets").exists()
    put(store, {"fake/stargan/0.png": b"\x89PNG"})
    assert len(prepare(SOURCE, SplitSpec(), store).frame) == 10
    assert "1 of 2 loose images" in caplog.text
    assert "stargan/0.png" in caplog.text
    other = Store(tmp_path / "other")
    put(other, {"all.zip": zipped(FILES)[:-30]})
    with pytest.raises(DatasetError, match="is for you to replace"):
        beforehand.check(DATASETS["celeba"], DATASETS["celeba"].options(), other)


def test_a_bucket_that_is_not_there_is_named(bucket):
    store = Store("s3://nosuchbucket99/st")
    for act in (
        lambda: inventory.rows(store),
        lambda: inventory.remove("genimage", store, archives=True, forget=False),
        lambda: prepare(SOURCE, SplitSpec(), store),
    ):
        with pytest.raises(
            StoreError, match=r"Could not list s3://nosuchbucket99/st/by_hand/\w+: there is no such bucket"
        ):
            act()


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


def test_a_limit_of_bytes_does_not_make_another_dataset(tmp_path):
    card = DATASETS["celeba"]
    folders = {card.folder(card.read_options({"sample": 3, **more})) for more in ({}, {"max_bytes": 5})}
    assert len(folders) == 1
    assert beforehand.archives_of(card) == []
    beforehand.check(card.model_copy(update={"by_hand": None}), card.read_options({"max_bytes": 5}), Store(tmp_path))


def test_removing_leaves_what_a_person_put_there(tmp_path):
    store = Store(tmp_path)
    put(store, FILES)
    prepare(SOURCE, SplitSpec(), store)
    assert len(inventory.remove("celeba", store, archives=True, forget=True)) == 1
    assert len(list((tmp_path / "by_hand").rglob("*.png"))) == 9
    with pytest.raises(DatasetError, match="nothing of celeba"):
        inventory.remove("celeba", store, archives=True, forget=False)


@pytest.mark.parametrize("where", ["disk", "s3"])
@pytest.mark.parametrize("larger", [False, True])
def test_an_archive_that_a_person_replaced(where, larger, request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "store" if where == "disk" else f"{request.getfixturevalue('bucket')}/store")
    put(store, {"all.tar": tarred(FILES)})
    prepare(SOURCE, SplitSpec(), store)
    assert inventory.rows(store) == [{"name": "celeba", "state": "ready", "archives": "1 of 1"}]
    told = []
    assert inventory.verify_archives("celeba", store, lambda *said: told.append(said)) == []
    size = len(tarred(FILES))
    copies = 1 if where == "disk" else 2  # on this machine and in the bucket
    assert told[-1] == (copies * size, copies * size)
    assert {type(number) for said in told for number in said} == {Bytes}
    more = {"fake/stargan/x.png": b"another" * 10_000} if larger else {}
    put(store, {"all.tar": tarred({**FILES, "fake/stargan/0.png": b"\x89PNG FAKE 0", **more})})
    (problem,) = inventory.verify_archives("celeba", store)
    assert "by_hand/celeba/all.tar has the SHA-256" in problem
    inventory.remove("celeba", store, archives=False, forget=False)
    if where == "disk":
        with pytest.raises(DatasetError, match="Put the file there that it was.*remove NAME --archives --forget"):
            prepare(SOURCE, SplitSpec(), store)
    inventory.remove("celeba", store, archives=True, forget=True)
    assert store.exists("by_hand/celeba/all.tar")
    assert len(prepare(SOURCE, SplitSpec(), store).frame) == 18 + larger
    assert inventory.verify_archives("celeba", store) == []


def test_removing_takes_copies_in_a_bucket_and_halves_of_what_a_star_stands_for(bucket, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(f"{bucket}/store")
    data = tarred({**FILES})
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


def test_what_was_removed_on_purpose_is_no_damage(tmp_path):
    from PIL import Image

    store = Store(tmp_path)
    files = {}
    for name in FILES:
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (len(name), hash_of(name), 0)).save(file, "PNG")
        files[name] = file.getvalue()
    put(store, {"all.zip": zipped(files)})
    prepare(SOURCE.model_copy(update={"options": {"sample": 3}}), SplitSpec(), store)
    inventory.remove("celeba", store, archives=False, forget=False)
    with pytest.raises(DatasetError, match="files of celeba are not in"):
        verify_files("celeba", store)
    prepare(SOURCE, SplitSpec(), store)
    assert verify_files("celeba", store) == (18, [])
    (image,) = tmp_path.glob("datasets/celeba-*/images/all/fake/stargan/3.png")
    image.unlink()
    assert len(verify_files("celeba", store)[1]) == 1
