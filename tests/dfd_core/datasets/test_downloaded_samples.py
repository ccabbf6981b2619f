"""Samples of archives on a server of this machine: what is read of them, and how much at most."""

import io
import random
import time

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfd_core.datasets import DATASETS, beforehand, published, shelf
from dfd_core.datasets.archives.containers import Member
from dfd_core.datasets.cards import Archive, Part, Rows
from dfd_core.datasets.options import PublishedOptions
from dfd_core.datasets.rules import Sample, classify
from dfd_core.errors import DatasetError, DownloadError, UnreachableError
from dfd_core.progress import Bytes
from dfd_core.storage import Store

SAMPLES = {
    "no_ranges": ("zip", {"ranges": False}),
    "no_ranges_and_no_length": ("zip", {"ranges": False, "chunked": True}),
    "no_mark_of_the_version": ("zip", {"stamp": None}),
    "compressed_tar": ("tar.gz", {}),
}


@pytest.mark.parametrize("way", SAMPLES)
def test_a_sample_that_needs_a_whole_archive_keeps_to_the_limit(way, serve, near, tmp_path):
    kind, behaviour = SAMPLES[way]
    content = near.packed(kind, near.images())
    address, _ = serve(content, **behaviour)
    with pytest.raises(DownloadError, match="--max-bytes"):
        near.make(near.card(address, kind=kind), Store(tmp_path), sample=2, max_bytes=100_000)
    assert not list((tmp_path / "archives").rglob("file"))
    assert near.make(near.card(address, kind=kind), Store(tmp_path), sample=2, max_bytes=len(content)) == 4


def test_the_parts_of_an_archive_keep_to_the_limit_of_a_sample_together(serve, near, tmp_path):
    whole = near.packed("zip", near.images(count=40, size=20_000))
    step = -(-len(whole) // 3)
    served = [serve(whole[at : at + step]) for at in range(0, len(whole), step)]
    parts = tuple(Part(address=f"{address}.zip.{i:03d}") for i, (address, _) in enumerate(served, start=1))
    one = near.card("http://127.0.0.1:9/").model_copy(
        update={"archives": (Archive(name="a", kind="zip", parts=parts),)}
    )
    with pytest.raises(DownloadError, match="bytes were read, and more would pass --max-bytes 100,000"):
        near.make(one, Store(tmp_path), sample=3, max_bytes=100_000)
    assert 50_000 < sum(server.sent for _, server in served) < 100_000 + 3
    assert near.make(one, Store(tmp_path), sample=3, max_bytes=len(whole)) == 6


def test_a_small_limit_is_used_for_a_sample(serve, near, tmp_path):
    address, _ = serve(near.packed("zip", near.images(count=40, size=20_000)))
    assert near.make(near.card(address), Store(tmp_path), sample=1, max_bytes=150_000) == 2


def test_what_is_too_large_for_a_sample_is_said_before_a_byte_is(near, tmp_path):
    addresses = ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"]
    options = PublishedOptions(sample=1, max_bytes=400)
    with pytest.raises(DatasetError, match="about 500 bytes"):
        beforehand.check(near.card(*addresses, kind="7z", size_bytes=1000), options, Store(tmp_path))
    beforehand.check(near.card(*addresses, size_bytes=1000), options, Store(tmp_path))


def rows_in_groups(count, size, group_size):
    draw, file = random.Random(1), io.BytesIO()
    labels = ["real" if draw.random() < 0.5 else "fake" for _ in range(count)]
    data = [b"\x89PNG" + draw.randbytes(size) for _ in range(count)]
    table = pa.table({"image": data, "kind": labels})
    pq.write_table(table, file, row_group_size=group_size, compression="none")
    return file.getvalue()


@pytest.mark.parametrize(("count", "most"), [(3, 0.25), (40, 0.35), (100, 0.5)])
def test_a_sample_of_rows_needs_a_few_row_groups(count, most, serve, near, tmp_path):
    content = rows_in_groups(1000, 10_000, 100)
    address, server = serve(content)
    rows = Rows(image="image", path="{kind}")
    archive = Archive(name="a", kind="parquet", parts=(Part(address=f"{address}.parquet"),), rows=rows)
    one = near.card("http://127.0.0.1:9/").model_copy(update={"archives": (archive,)})
    found = []
    for seed, folder in ((0, "a"), (0, "b"), (1, "c")):
        before = server.sent
        assert near.make(one, Store(tmp_path / folder), sample=count, seed=seed) == 2 * count
        assert server.sent - before < most * len(content)
        found.append({path.name for path in (tmp_path / folder).rglob("*.png")})
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("size", [10_000, 1_500_000])
def test_a_sample_of_a_tar_is_read_in_pieces_only_where_that_spares_something(size, serve, near, tmp_path):
    content = near.packed("tar", near.images(count=20, size=size))
    address, server = serve(content)
    one, store = near.card(address, kind="tar"), Store(tmp_path)
    assert near.make(one, store, sample=2) == 4
    if size > 10**6:
        assert server.sent < 0.5 * len(content)
        assert not shelf.is_there(one.archives[0], store)
        return
    assert server.sent < 1.01 * len(content) + 2 * 2**18  # what was looked at before, and all of it once
    assert shelf.is_there(one.archives[0], store)
    sent = server.sent
    (tmp_path / "datasets/near-0/images.parquet").unlink()
    assert near.make(one, store) == 40  # what was fetched for the sample does for all
    assert server.sent == sent


def test_a_sample_tells_how_much_it_read_and_can_be_stopped_beside_a_silent_server(serve, near, tmp_path):
    address, server = serve(near.packed("zip", near.images(count=20, size=100_000)))
    told = []
    near.make(near.card(address), Store(tmp_path / "a"), lambda *numbers: told.append(numbers), sample=2)
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
        near.make(near.card(address), Store(tmp_path / "b"), stop, sample=2)
    assert time.monotonic() - began < 30  # the next byte is waited for for 60


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


def test_a_sample_of_an_archive_that_changes_meanwhile_has_no_image_of_the_version_before(bucket, near, tmp_path):
    place, fs = f"{bucket.removeprefix('s3://')}/a.zip", fsspec.filesystem("s3")
    old = near.images()
    new = {name: data[::-1] for name, data in old.items()}  # as large as before
    fs.pipe_file(place, near.packed("zip", old))

    def change(done, total):
        if done == total > 0:
            fs.pipe_file(place, near.packed("zip", new))

    one, folder = near.card(f"{bucket}/a.zip"), "datasets/near-0/images"
    with pytest.raises(UnreachableError, match="was changed while it was read"):
        published.make(one, PublishedOptions(sample=3), Store(tmp_path), folder, change)
    assert not (tmp_path / "datasets/near-0/images.parquet").exists()
    assert len(list((tmp_path / folder).rglob("*.png"))) == 6
    assert near.make(one, Store(tmp_path), sample=3) == 6
    table = Store(tmp_path).read_table("datasets/near-0/images.parquet")
    for path in table["path"].to_pylist():
        assert (tmp_path / "datasets/near-0" / path).read_bytes() == new[path.removeprefix("images/a0/")]
