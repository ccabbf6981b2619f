"""Cards whose archives come from a server of this machine: what may be fetched, and what is recorded of it."""

import hashlib
import io
import zipfile

import pytest

from dfd_core.datasets import DATASETS, beforehand, inventory, shelf
from dfd_core.datasets.cards import Archive, Part
from dfd_core.datasets.downloading import providers
from dfd_core.datasets.options import PublishedOptions
from dfd_core.errors import ArchiveError, DamagedArchiveError, DatasetError, DownloadError
from dfd_core.storage import Store


def test_a_card_that_knows_too_little_of_its_size_does_not_lift_the_limit(serve, near, tmp_path):
    content = near.packed("zip", near.images())
    address, server = serve(content)
    addresses = [f"{address}/{i}" for i in range(3)]
    store, limit = Store(tmp_path), 2 * len(content)
    options = PublishedOptions(max_bytes=limit)
    with pytest.raises(DownloadError, match=f"{3 * len(content):,} bytes to download, more than --max-bytes"):
        near.make(near.card(*addresses), store, max_bytes=limit)
    with pytest.raises(DownloadError, match="more than --max-bytes"):
        beforehand.to_fetch(near.card(*addresses), options, store)
    assert server.sent < 10
    assert len(beforehand.to_fetch(near.card(*addresses[:2]), options, store)) == 2
    shelf.fetch_archive(near.card(*addresses).archives[0], store)
    assert len(beforehand.to_fetch(near.card(*addresses), options, store)) == 2  # what is there costs nothing


def test_the_limit_holds_for_all_archives_together_where_no_size_is_told(serve, near, tmp_path):
    content = near.packed("zip", near.images())
    address, _ = serve(content, ranges=False, chunked=True)
    addresses, store = [f"{address}/{i}" for i in range(3)], Store(tmp_path)
    options = PublishedOptions(max_bytes=2 * len(content) + 100)
    assert beforehand.to_fetch(near.card(*addresses), options, store) == []
    with pytest.raises(DownloadError, match="--max-bytes leaves 100"):
        near.make(near.card(*addresses), store, max_bytes=options.max_bytes)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_what_came_cut_short_is_not_what_later_ones_are_measured_by(kind, serve, tmp_path, monkeypatch, near):
    content = near.packed(kind, near.images())
    address, server = serve(content[: len(content) // 2], ranges=False, chunked=True)
    one, store = near.card(address, kind=kind), Store(tmp_path)
    monkeypatch.setitem(DATASETS._entries, "near", one)
    with pytest.raises(DamagedArchiveError, match="the same command fetches it again"):
        near.make(one, store)
    assert not list((tmp_path / "archives").rglob("file"))
    assert inventory.rows(store)[0]["archives"] == "0 of 1, 1 half fetched"
    if kind == "tar":
        assert len(inventory.remove("near", store, archives=True, forget=False)) == 1
    server.content = content
    assert near.make(one, store) == 40
    assert shelf.record(one.archives[0].parts[0], store)["opened"]
    inventory.remove("near", store, archives=True, forget=False)
    server.content = near.packed(kind, near.images(size=9_000))  # now the digest counts
    with pytest.raises(DownloadError, match="remove NAME --archives --forget"):
        near.make(one, store)
    inventory.remove("near", store, archives=True, forget=True)
    assert near.make(one, store) == 40


def test_a_page_that_passes_for_a_file_is_not_kept_for_one(serve, near, tmp_path):
    address, server = serve(b"<!doctype html>Quota exceeded")
    with pytest.raises(DamagedArchiveError, match="the same command fetches it again"):
        near.make(near.card(address), Store(tmp_path))
    server.content = near.packed("zip", near.images())
    assert near.make(near.card(address), Store(tmp_path)) == 40


def test_what_is_not_the_file_of_the_first_download_says_how_it_would_be_trusted(serve, near, tmp_path):
    content = near.packed("zip", near.images())
    address, server = serve(content)
    one, store = near.card(address), Store(tmp_path)
    near.make(one, store)
    shelf.local_path(one.archives[0].parts[0], store).unlink()
    store.remove("datasets/near-0/images.parquet")
    server.content, server.stamp = content[::-1], '"2"'
    with pytest.raises(DownloadError, match="has the SHA-256 .* and should have .*--archives --forget` drops the"):
        near.make(one, store)
    server.content, server.stamp = content, '"3"'
    assert near.make(one, store) == 40


def test_a_damaged_archive_that_its_publisher_vouches_for_is_not_fetched_again(serve, near, tmp_path):
    content = near.packed("zip", near.images())[:-9]
    address, server = serve(content)
    store, one = Store(tmp_path), with_md5(near.card(address), hashlib.md5(content, usedforsecurity=False).hexdigest())
    for _ in range(2):
        with pytest.raises(DamagedArchiveError, match="dfd datasets remove near --archives --forget"):
            near.make(one, store)
    assert server.sent == len(content) + 1


@pytest.mark.parametrize("touched", [False, True])
def test_an_archive_that_changed_on_the_shelf_is_not_unpacked(touched, serve, tmp_path, monkeypatch, near):
    address, server = serve(near.packed("tar", near.images()))
    one, store = near.card(address, kind="tar"), Store(tmp_path)
    monkeypatch.setitem(DATASETS._entries, "near", one)
    near.make(one, store)
    path = shelf.local_path(one.archives[0].parts[0], store)
    if touched:
        path.touch()
    else:
        with path.open("r+b") as file:
            file.seek(1000)
            file.write(bytes(400))
    inventory.remove("near", store, archives=False, forget=False)
    if not touched:
        with pytest.raises(DownloadError, match="has the SHA-256 .* to be fetched again"):
            near.make(one, store)
        inventory.remove("near", store, archives=True, forget=False)
    sent = server.sent
    assert near.make(one, store) == 40
    assert (server.sent > sent) == (not touched)


def test_what_is_on_the_shelf_is_not_downloaded_again_and_not_counted(serve, near, tmp_path):
    content = near.packed("zip", near.images())
    address, server = serve(content)
    one, store = near.card(address, size_bytes=len(content)), Store(tmp_path)
    options = PublishedOptions(max_bytes=1000)
    with pytest.raises(DatasetError, match="--max-bytes 1,000"):
        beforehand.check(one, options, store)
    shelf.fetch_archive(one.archives[0], store)
    sent = server.sent
    assert near.make(one, store, max_bytes=1000) == 40
    assert server.sent == sent


IN_PLACE = {
    "tar.gz": lambda near, address: near.card(address, kind="tar.gz"),
    "parts": lambda near, address: near.card(address).model_copy(
        update={
            "archives": (Archive(name="a", kind="zip", parts=(Part(address=address), Part(address=address + "2"))),)
        }
    ),
    "packed_twice": lambda near, address: near.card(address).model_copy(
        update={"archives": (Archive(name="a", kind="7z", parts=(Part(address=address),), inside="x.zip"),)}
    ),
    "compressed": lambda near, address: near.card(address),
}


@pytest.mark.parametrize("way", IN_PLACE)
def test_what_cannot_be_read_in_place_is_said_before_it_is_fetched(way, serve, near, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in near.images(count=100, size=30_000).items():
            archive.writestr(name, data)
    address, server = serve(file.getvalue())
    one, options = IN_PLACE[way](near, address), PublishedOptions(in_place=True)
    for act in (lambda: beforehand.to_fetch(one, options, Store(tmp_path)), lambda: near.make(one, Store(tmp_path),
                                                                                         in_place=True)):  # fmt: skip
        with pytest.raises(DatasetError, match="can't be read in place: .*Leave --in-place"):
            act()
    assert server.sent < (1.2e6 if way == "compressed" else 1)
    assert not list((tmp_path / "archives").rglob("*.partial"))


def test_an_archive_that_is_refused_stays_and_it_is_said_where(serve, near, tmp_path):
    address, _ = serve(near.packed("tar", {**near.images(), "../evil.png": b"1"}))
    with pytest.raises(ArchiveError, match=r"'\.\./evil\.png'.*It stays in .*dfd datasets remove near --archives"):
        near.make(near.card(address, kind="tar"), Store(tmp_path))


def test_what_fits_no_rule_is_counted_and_every_image_is_one(serve, tmp_path, caplog, near):
    caplog.set_level("INFO")
    files = {**near.images(), "real/a.avif": b"1", "fake/b.JFIF": b"2", "fake/c.jpe": b"3"}
    odd = {"other/1.png": b"4", "other/2.txt": b"5", "real/3.txt": b"6"}
    address, _ = serve(near.packed("zip", {**files, **odd}))
    assert near.make(near.card(address), Store(tmp_path)) == len(files)
    assert "3 of 46 files in a0 fit no rule of the card and are left out, 1 of them images, such as other/1.png" in (
        caplog.text
    )


def with_md5(one, md5):
    (archive,) = one.archives
    part = archive.parts[0].model_copy(update={"md5": md5})
    return one.model_copy(update={"archives": (archive.model_copy(update={"parts": (part,)}),)})


@pytest.mark.parametrize("stamp", ['"1"', None])
def test_an_archive_whose_publisher_states_its_md5_is_held_to_it(stamp, serve, near, tmp_path):
    content = near.packed("zip", near.images())
    address, _ = serve(content, stamp=stamp)
    store, right = Store(tmp_path), hashlib.md5(content, usedforsecurity=False).hexdigest()
    with pytest.raises(DownloadError, match=f"the MD5 {right}, and should have {'0' * 32}"):
        near.make(with_md5(near.card(address), "0" * 32), store)
    assert not list((tmp_path / "archives").rglob("file"))
    assert near.make(with_md5(near.card(address), right), store) == 40


def test_an_archive_that_somebody_put_on_the_shelf_is_held_to_its_md5(serve, near, tmp_path):
    content = near.packed("zip", near.images())
    address, server = serve(content)
    store = Store(tmp_path)
    one = with_md5(near.card(address), hashlib.md5(content, usedforsecurity=False).hexdigest())
    (part,) = one.archives[0].parts
    path = shelf.local_path(part, store)
    path.parent.mkdir(parents=True)
    path.write_bytes(near.packed("zip", near.images(size=9_000)))
    with pytest.raises(DownloadError, match="has the MD5 .* and should have"):
        near.make(one, store)
    assert not shelf.is_there(one.archives[0], store)
    path.write_bytes(content)
    assert near.make(one, store) == 40
    assert server.sent == 0


@pytest.mark.parametrize("folder", ["core", "data"])
def test_openfake_has_had_two_layouts(folder, monkeypatch):
    names = ["README.md", "reddit/test-0.parquet", *(f"{folder}/{split}-{i}.parquet" for split in ("test", "train")
                                                     for i in range(2))]  # fmt: skip
    monkeypatch.setattr(providers, "_asked", lambda *_: names)
    archives = beforehand.archives_of(DATASETS["openfake"])
    assert [archive.name for archive in archives] == ["test-00000", "test-00001", "train-00000", "train-00001"]
    found = [archive.parts[0].address for archive in archives]
    assert found == [f"hf://datasets/ComplexDataLab/OpenFake@v1.0/{name}" for name in names[2:]]
    assert all(providers._parsed(address) for address in found)
