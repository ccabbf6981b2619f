"""Cards whose archives come from a server of this machine: what may be fetched, and what is recorded of it."""

import hashlib
import io
import random
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfd_core.datasets import DATASETS, beforehand, inventory, opening, published, shelf
from dfd_core.datasets.archives.containers import Member, open_container
from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rows, Rule
from dfd_core.datasets.downloading import providers
from dfd_core.datasets.options import PublishedOptions
from dfd_core.datasets.rules import Sample, classify
from dfd_core.errors import ArchiveError, DamagedArchiveError, DatasetError, DownloadError, UnreachableError
from dfd_core.progress import Bytes
from dfd_core.storage import Store

RULES = (Rule(pattern=r".*/real/.*", label=0, source="camera"), Rule(pattern=r".*/fake/.*", label=1, generator="gan1"))


def images(count=20, size=10_000):
    draw = random.Random(0)
    return {f"{kind}/{i:03d}.png": draw.randbytes(size) for kind in ("real", "fake") for i in range(count)}


def packed(kind, files):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w:gz" if kind == "tar.gz" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def card(*addresses, kind="zip", size_bytes=1):
    return DatasetCard(
        name="near", title="t", description="d", page="p", sources=("s",), licence="l", size_hint="h",
        size_bytes=size_bytes, generators={"gan1": "gan"}, reals=("camera",), pairing="all", splits="drawn",
        formats=Formats(real=("PNG",), fake=("PNG",)), revision=1, options=PublishedOptions, rules=RULES,
        archives=tuple(
            Archive(name=f"a{i}", kind=kind, parts=(Part(address=address),)) for i, address in enumerate(addresses)
        ),
    )  # fmt: skip


def make(one, store, **options):
    return published.make(one, PublishedOptions(**options), store, "datasets/near-0/images", None)


SAMPLES = {
    "no_ranges": ("zip", {"ranges": False}),
    "no_ranges_and_no_length": ("zip", {"ranges": False, "chunked": True}),
    "no_mark_of_the_version": ("zip", {"stamp": None}),
    "compressed_tar": ("tar.gz", {}),
}


@pytest.mark.parametrize("way", SAMPLES)
def test_a_sample_that_needs_a_whole_archive_keeps_to_the_limit(way, serve, tmp_path):
    kind, behaviour = SAMPLES[way]
    content = packed(kind, images())
    address, _ = serve(content, **behaviour)
    with pytest.raises(DownloadError, match="--max-bytes"):
        make(card(address, kind=kind), Store(tmp_path), sample=2, max_bytes=100_000)
    assert not list((tmp_path / "archives").rglob("file"))
    assert make(card(address, kind=kind), Store(tmp_path), sample=2, max_bytes=len(content)) == 4


def test_the_parts_of_an_archive_keep_to_the_limit_of_a_sample_together(serve, tmp_path):
    whole = packed("zip", images(count=40, size=20_000))
    step = -(-len(whole) // 3)
    served = [serve(whole[at : at + step]) for at in range(0, len(whole), step)]
    parts = tuple(Part(address=f"{address}.zip.{i:03d}") for i, (address, _) in enumerate(served, start=1))
    one = card("http://127.0.0.1:9/").model_copy(update={"archives": (Archive(name="a", kind="zip", parts=parts),)})
    with pytest.raises(DownloadError, match="bytes were read, and more would pass --max-bytes 100,000"):
        make(one, Store(tmp_path), sample=3, max_bytes=100_000)
    assert 50_000 < sum(server.sent for _, server in served) < 100_000 + 3
    assert make(one, Store(tmp_path), sample=3, max_bytes=len(whole)) == 6


def test_a_card_that_knows_too_little_of_its_size_does_not_lift_the_limit(serve, tmp_path):
    content = packed("zip", images())
    address, server = serve(content)
    addresses = [f"{address}/{i}" for i in range(3)]
    store, limit = Store(tmp_path), 2 * len(content)
    options = PublishedOptions(max_bytes=limit)
    with pytest.raises(DownloadError, match=f"{3 * len(content):,} bytes to download, more than --max-bytes"):
        make(card(*addresses), store, max_bytes=limit)
    with pytest.raises(DownloadError, match="more than --max-bytes"):
        beforehand.to_fetch(card(*addresses), options, store)
    assert server.sent < 10
    assert len(beforehand.to_fetch(card(*addresses[:2]), options, store)) == 2
    shelf.fetch_archive(card(*addresses).archives[0], store)
    assert len(beforehand.to_fetch(card(*addresses), options, store)) == 2  # what is there costs nothing


def test_the_limit_holds_for_all_archives_together_where_no_size_is_told(serve, tmp_path):
    content = packed("zip", images())
    address, _ = serve(content, ranges=False, chunked=True)
    addresses, store = [f"{address}/{i}" for i in range(3)], Store(tmp_path)
    options = PublishedOptions(max_bytes=2 * len(content) + 100)
    assert beforehand.to_fetch(card(*addresses), options, store) == []
    with pytest.raises(DownloadError, match="--max-bytes leaves 100"):
        make(card(*addresses), store, max_bytes=options.max_bytes)


def test_what_is_too_large_for_a_sample_is_said_before_a_byte_is(tmp_path):
    addresses = ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"]
    with pytest.raises(DatasetError, match="about 500 bytes"):
        beforehand.check(
            card(*addresses, kind="7z", size_bytes=1000), PublishedOptions(sample=1, max_bytes=400), Store(tmp_path)
        )
    beforehand.check(card(*addresses, size_bytes=1000), PublishedOptions(sample=1, max_bytes=400), Store(tmp_path))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_what_came_cut_short_is_not_what_later_ones_are_measured_by(kind, serve, tmp_path, monkeypatch):
    content = packed(kind, images())
    address, server = serve(content[: len(content) // 2], ranges=False, chunked=True)
    one, store = card(address, kind=kind), Store(tmp_path)
    monkeypatch.setitem(DATASETS._entries, "near", one)
    with pytest.raises(DamagedArchiveError, match="the same command fetches it again"):
        make(one, store)
    assert not list((tmp_path / "archives").rglob("file"))
    assert inventory.rows(store)[0]["archives"] == "0 of 1, 1 half fetched"
    if kind == "tar":
        assert len(inventory.remove("near", store, archives=True, forget=False)) == 1
    server.content = content
    assert make(one, store) == 40
    assert shelf.record(one.archives[0].parts[0], store)["opened"]
    inventory.remove("near", store, archives=True, forget=False)
    server.content = packed(kind, images(size=9_000))  # now the digest counts
    with pytest.raises(DownloadError, match="remove NAME --archives --forget"):
        make(one, store)
    inventory.remove("near", store, archives=True, forget=True)
    assert make(one, store) == 40


def test_a_page_that_passes_for_a_file_is_not_kept_for_one(serve, tmp_path):
    address, server = serve(b"<!doctype html>Quota exceeded")
    with pytest.raises(DamagedArchiveError, match="the same command fetches it again"):
        make(card(address), Store(tmp_path))
    server.content = packed("zip", images())
    assert make(card(address), Store(tmp_path)) == 40


def test_a_damaged_archive_that_its_publisher_vouches_for_is_not_fetched_again(serve, tmp_path):
    content = packed("zip", images())[:-9]
    address, server = serve(content)
    store, one = Store(tmp_path), with_md5(card(address), hashlib.md5(content, usedforsecurity=False).hexdigest())
    for _ in range(2):
        with pytest.raises(DamagedArchiveError, match="dfd datasets remove near --archives --forget"):
            make(one, store)
    assert server.sent == len(content) + 1


def test_what_was_taken_out_of_an_archive_goes_with_it(packed_twice, tmp_path):
    one, _ = packed_twice(compressed=True)
    with opening.open_local(one.archives[0], shelf.fetch_archive(one.archives[0], Store(tmp_path))):
        pass
    assert len(list((tmp_path / "archives").rglob("twice-inside"))) == 1
    assert shelf.set_aside(one.archives[0], Store(tmp_path))
    left = [path.name for path in (tmp_path / "archives").rglob("*") if path.is_file()]
    assert {name.rpartition(".")[2] for name in left} == {"partial", "json", "lock"}


@pytest.mark.parametrize("touched", [False, True])
def test_an_archive_that_changed_on_the_shelf_is_not_unpacked(touched, serve, tmp_path, monkeypatch):
    address, server = serve(packed("tar", images()))
    one, store = card(address, kind="tar"), Store(tmp_path)
    monkeypatch.setitem(DATASETS._entries, "near", one)
    make(one, store)
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
            make(one, store)
        inventory.remove("near", store, archives=True, forget=False)
    sent = server.sent
    assert make(one, store) == 40
    assert (server.sent > sent) == (not touched)


def rows_in_groups(count, size, group_size):
    draw, file = random.Random(1), io.BytesIO()
    labels = ["real" if draw.random() < 0.5 else "fake" for _ in range(count)]
    data = [b"\x89PNG" + draw.randbytes(size) for _ in range(count)]
    table = pa.table({"image": data, "kind": labels})
    pq.write_table(table, file, row_group_size=group_size, compression="none")
    return file.getvalue()


@pytest.mark.parametrize(("count", "most"), [(3, 0.25), (40, 0.35), (100, 0.5)])
def test_a_sample_of_rows_needs_a_few_row_groups(count, most, serve, tmp_path):
    content = rows_in_groups(1000, 10_000, 100)
    address, server = serve(content)
    rows = Rows(image="image", path="{kind}")
    archive = Archive(name="a", kind="parquet", parts=(Part(address=f"{address}.parquet"),), rows=rows)
    one = card("http://127.0.0.1:9/").model_copy(update={"archives": (archive,)})
    found = []
    for seed, folder in ((0, "a"), (0, "b"), (1, "c")):
        before = server.sent
        assert make(one, Store(tmp_path / folder), sample=count, seed=seed) == 2 * count
        assert server.sent - before < most * len(content)
        found.append({path.name for path in (tmp_path / folder).rglob("*.png")})
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("size", [10_000, 1_500_000])
def test_a_sample_of_a_tar_is_read_in_pieces_only_where_that_spares_something(size, serve, tmp_path):
    content = packed("tar", images(count=20, size=size))
    address, server = serve(content)
    one, store = card(address, kind="tar"), Store(tmp_path)
    assert make(one, store, sample=2) == 4
    if size > 10**6:
        assert server.sent < 0.5 * len(content)
        assert not shelf.is_there(one.archives[0], store)
        return
    assert server.sent < 1.01 * len(content) + 2 * 2**18  # what was looked at before, and all of it once
    assert shelf.is_there(one.archives[0], store)
    sent = server.sent
    (tmp_path / "datasets/near-0/images.parquet").unlink()
    assert make(one, store) == 40  # what was fetched for the sample does for all
    assert server.sent == sent


def test_a_sample_tells_how_much_it_read_and_can_be_stopped_beside_a_silent_server(serve, tmp_path):
    address, server = serve(packed("zip", images(count=20, size=100_000)))
    told = []
    published.make(card(address), PublishedOptions(sample=2), Store(tmp_path / "a"), "datasets/near-0/images",
                   lambda *numbers: told.append(numbers))  # fmt: skip
    bytes_told = [numbers for numbers in told if isinstance(numbers[0], Bytes) and numbers[1]]
    assert bytes_told == sorted(bytes_told)
    assert bytes_told[-1][0] > 0
    assert {total for _, total in bytes_told} == {len(server.content)}
    assert told[-1] == (4, 4)
    server.silent_after = server.sent + 1

    def stop(*_):
        if server.sent >= server.silent_after:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        published.make(card(address), PublishedOptions(sample=2), Store(tmp_path / "b"), "datasets/near-0/images", stop)
    assert time.monotonic() - began < 30  # the next byte is waited for for 60


def test_what_is_on_the_shelf_is_not_downloaded_again_and_not_counted(serve, tmp_path):
    content = packed("zip", images())
    address, server = serve(content)
    one, store = card(address, size_bytes=len(content)), Store(tmp_path)
    options = PublishedOptions(max_bytes=1000)
    with pytest.raises(DatasetError, match="--max-bytes 1,000"):
        beforehand.check(one, options, store)
    shelf.fetch_archive(one.archives[0], store)
    sent = server.sent
    assert make(one, store, max_bytes=1000) == 40
    assert server.sent == sent


def test_a_small_limit_is_used_for_a_sample(serve, tmp_path):
    address, _ = serve(packed("zip", images(count=40, size=20_000)))
    assert make(card(address), Store(tmp_path), sample=1, max_bytes=150_000) == 2


IN_PLACE = {
    "tar.gz": lambda address: card(address, kind="tar.gz"),
    "parts": lambda address: card(address).model_copy(
        update={
            "archives": (Archive(name="a", kind="zip", parts=(Part(address=address), Part(address=address + "2"))),)
        }
    ),
    "packed_twice": lambda address: card(address).model_copy(
        update={"archives": (Archive(name="a", kind="7z", parts=(Part(address=address),), inside="x.zip"),)}
    ),
    "compressed": card,
}


@pytest.mark.parametrize("way", IN_PLACE)
def test_what_cannot_be_read_in_place_is_said_before_it_is_fetched(way, serve, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in images(count=100, size=30_000).items():
            archive.writestr(name, data)
    address, server = serve(file.getvalue())
    one, options = IN_PLACE[way](address), PublishedOptions(in_place=True)
    for act in (lambda: beforehand.to_fetch(one, options, Store(tmp_path)), lambda: make(one, Store(tmp_path),
                                                                                         in_place=True)):  # fmt: skip
        with pytest.raises(DatasetError, match="can't be read in place: .*Leave --in-place"):
            act()
    assert server.sent < (1.2e6 if way == "compressed" else 1)
    assert not list((tmp_path / "archives").rglob("*.partial"))


def test_an_archive_that_is_refused_stays_and_it_is_said_where(serve, tmp_path):
    address, _ = serve(packed("tar", {**images(), "../evil.png": b"1"}))
    with pytest.raises(ArchiveError, match=r"'\.\./evil\.png'.*It stays in .*dfd datasets remove near --archives"):
        make(card(address, kind="tar"), Store(tmp_path))


def test_what_fits_no_rule_is_counted_and_every_image_is_one(serve, tmp_path, caplog):
    caplog.set_level("INFO")
    files = {**images(), "real/a.avif": b"1", "fake/b.JFIF": b"2", "fake/c.jpe": b"3"}
    odd = {"other/1.png": b"4", "other/2.txt": b"5", "real/3.txt": b"6"}
    address, _ = serve(packed("zip", {**files, **odd}))
    assert make(card(address), Store(tmp_path)) == len(files)
    assert "3 of 46 files in a0 fit no rule of the card and are left out, 1 of them images, such as other/1.png" in (
        caplog.text
    )


def with_md5(one, md5):
    (archive,) = one.archives
    part = archive.parts[0].model_copy(update={"md5": md5})
    return one.model_copy(update={"archives": (archive.model_copy(update={"parts": (part,)}),)})


@pytest.mark.parametrize("stamp", ['"1"', None])
def test_an_archive_whose_publisher_states_its_md5_is_held_to_it(stamp, serve, tmp_path):
    content = packed("zip", images())
    address, _ = serve(content, stamp=stamp)
    store, right = Store(tmp_path), hashlib.md5(content, usedforsecurity=False).hexdigest()
    with pytest.raises(DownloadError, match=f"the MD5 {right}, and should have {'0' * 32}"):
        make(with_md5(card(address), "0" * 32), store)
    assert not list((tmp_path / "archives").rglob("file"))
    assert make(with_md5(card(address), right), store) == 40


def test_an_archive_that_somebody_put_on_the_shelf_is_held_to_its_md5(serve, tmp_path):
    content = packed("zip", images())
    address, server = serve(content)
    store = Store(tmp_path)
    one = with_md5(card(address), hashlib.md5(content, usedforsecurity=False).hexdigest())
    (part,) = one.archives[0].parts
    path = shelf.local_path(part, store)
    path.parent.mkdir(parents=True)
    path.write_bytes(packed("zip", images(size=9_000)))
    with pytest.raises(DownloadError, match="has the MD5 .* and should have"):
        make(one, store)
    assert not shelf.is_there(one.archives[0], store)
    path.write_bytes(content)
    assert make(one, store) == 40
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


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sample_of_pairs_has_pairs(seed):
    one = DATASETS["deepfakeface"]
    drawn, sample = {}, Sample(10, seed)
    for archive in ("wiki", "inpainting", "text2img", "insight"):
        paths = [f"{archive}/{i % 7:02d}/{i}_x.jpg" for i in range(100)]
        rows = [(Member(path, 1, path, True), classify(one, f"{archive}/{path}")) for path in paths]
        drawn[archive] = {row.group for _, row in sample.draw(archive, rows)}
    assert len(drawn["wiki"]) == 10
    assert len(set(map(frozenset, drawn.values()))) == 1
    assert Sample(10, seed).draw("wiki", rows[::-1]) != Sample(10, seed + 1).draw("wiki", rows[::-1])


def sevenfold(compressed, inner):
    """A 7z archive with other files around the inner archive."""
    py7zr = pytest.importorskip("py7zr")
    file = io.BytesIO()
    options = {} if compressed else {"filters": [{"id": py7zr.FILTER_COPY}]}
    with py7zr.SevenZipFile(file, "w", **options) as archive:
        archive.writestr(b"read me" * 1000, "readme.txt")
        archive.writestr(inner, "all.zip")
        archive.writestr(b"the end", "end.txt")
    return file.getvalue()


@pytest.fixture
def packed_twice(serve):
    """A card of a zip archive in a 7z archive in three parts, as ForenSynths is published."""

    def start(compressed):
        whole = sevenfold(compressed, packed("zip", images(count=200, size=20_000)))
        step = -(-len(whole) // 3)
        served = [serve(whole[at : at + step]) for at in range(0, len(whole), step)]
        parts = tuple(Part(address=f"{address}/x.7z.{i:03d}") for i, (address, _) in enumerate(served, start=1))
        archive = Archive(name="twice", kind="7z", parts=parts, inside="all.zip")
        one = card("http://127.0.0.1:9/").model_copy(update={"archives": (archive,)})
        return one, lambda: sum(server.sent for _, server in served) / len(whole)

    return start


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_in_another_is_taken_out_only_where_it_is_compressed(compressed, packed_twice, tmp_path):
    one, share_sent = packed_twice(compressed)
    assert make(one, Store(tmp_path)) == 400
    found = {"/".join(path.parts[-2:]): path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert found == images(count=200, size=20_000)
    assert len(list((tmp_path / "archives").rglob("twice-inside"))) == compressed
    assert share_sent() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("patient", [False, True])
def test_two_that_share_an_archive_in_another_take_it_out_once(patient, packed_twice, tmp_path):
    one, _ = packed_twice(compressed=True)
    (archive,) = one.archives
    paths = shelf.fetch_archive(archive, Store(tmp_path))
    begun, met, taken_out = threading.Event(), threading.Event(), []

    def first(done, total):
        begun.set()
        taken_out.append(done)
        met.wait(10)

    def second(done, _):
        met.set()
        if not patient:
            raise KeyboardInterrupt  # it can be stopped while it waits
        if done:
            pytest.fail("taken out again")

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(opening.open_local, archive, paths, first)
        assert begun.wait(10)
        if patient:
            with opening.open_local(archive, paths, second) as container:
                assert len(container.members()) == 400
        else:
            with pytest.raises(KeyboardInterrupt):
                opening.open_local(archive, paths, second)
        with other.result() as container:
            assert len(container.members()) == 400
    assert max(taken_out) == sum(path.stat().st_size for path in tmp_path.rglob("twice-inside"))


def test_a_sample_of_an_archive_in_another_needs_some_ranges(packed_twice, tmp_path):
    one, share_sent = packed_twice(compressed=False)
    assert make(one, Store(tmp_path), sample=2) == 4
    found = {"/".join(path.parts[-2:]): path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert len(found) == 4
    assert found.items() <= images(count=200, size=20_000).items()
    assert share_sent() < 0.5
    assert not list((tmp_path / "archives").rglob("x.7z*"))


def test_a_sample_of_one_that_is_compressed_in_another_needs_all_of_it(packed_twice, tmp_path, caplog):
    one, share_sent = packed_twice(compressed=True)
    with pytest.raises(DownloadError, match="--max-bytes"):
        make(one, Store(tmp_path), sample=2, max_bytes=1_000_000)
    assert make(one, Store(tmp_path), sample=2) == 4
    assert "can only be downloaded whole" in caplog.text
    assert share_sent() >= 1


def test_what_a_7z_archive_stores_as_it_is_lies_where_it_says():
    data = sevenfold(False, b"not a zip")
    with open_container("x.7z", io.BytesIO(data), "7z") as container:
        members = container.members()
        found = [data[container.offset(member) :][: member.size] for member in members if member.plain]
    assert found == [b"read me" * 1000, b"not a zip", b"the end"]
    with open_container("x.7z", io.BytesIO(sevenfold(True, b"not a zip")), "7z") as container:
        assert not any(member.plain for member in container.members())


def test_a_sample_of_an_archive_that_changes_meanwhile_has_no_image_of_the_version_before(bucket, tmp_path):
    place, fs = f"{bucket.removeprefix('s3://')}/a.zip", fsspec.filesystem("s3")
    old = images()
    new = {name: data[::-1] for name, data in old.items()}  # as large as before
    fs.pipe_file(place, packed("zip", old))

    def change(done, total):
        if done == total > 0:
            fs.pipe_file(place, packed("zip", new))

    one, folder = card(f"{bucket}/a.zip"), "datasets/near-0/images"
    with pytest.raises(UnreachableError, match="was changed while it was read"):
        published.make(one, PublishedOptions(sample=3), Store(tmp_path), folder, change)
    assert not (tmp_path / "datasets/near-0/images.parquet").exists()
    assert len(list((tmp_path / folder).rglob("*.png"))) == 6
    assert make(one, Store(tmp_path), sample=3) == 6
    table = Store(tmp_path).read_table("datasets/near-0/images.parquet")
    for path in table["path"].to_pylist():
        assert (tmp_path / "datasets/near-0" / path).read_bytes() == new[path.removeprefix("images/a0/")]
