"""Archives in archives, as ForenSynths is published."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dfd_core.datasets import opening, shelf
from dfd_core.datasets.archives.containers import open_container
from dfd_core.datasets.cards import Archive, Part
from dfd_core.errors import DownloadError
from dfd_core.storage import Store


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
def packed_twice(serve, near):
    """A card of a zip archive in a 7z archive in three parts, as ForenSynths is published."""

    def start(compressed):
        whole = sevenfold(compressed, near.packed("zip", near.images(count=200, size=20_000)))
        step = -(-len(whole) // 3)
        served = [serve(whole[at : at + step]) for at in range(0, len(whole), step)]
        parts = tuple(Part(address=f"{address}/x.7z.{i:03d}") for i, (address, _) in enumerate(served, start=1))
        archive = Archive(name="twice", kind="7z", parts=parts, inside="all.zip")
        one = near.card("http://127.0.0.1:9/").model_copy(update={"archives": (archive,)})
        return one, lambda: sum(server.sent for _, server in served) / len(whole)

    return start


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_in_another_is_taken_out_only_where_it_is_compressed(compressed, packed_twice, near, tmp_path):
    one, share_sent = packed_twice(compressed)
    assert near.make(one, Store(tmp_path)) == 400
    found = {"/".join(path.parts[-2:]): path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert found == near.images(count=200, size=20_000)
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


def test_what_was_taken_out_of_an_archive_goes_with_it(packed_twice, tmp_path):
    one, _ = packed_twice(compressed=True)
    with opening.open_local(one.archives[0], shelf.fetch_archive(one.archives[0], Store(tmp_path))):
        pass
    assert len(list((tmp_path / "archives").rglob("twice-inside"))) == 1
    assert shelf.set_aside(one.archives[0], Store(tmp_path))
    left = [path.name for path in (tmp_path / "archives").rglob("*") if path.is_file()]
    assert {name.rpartition(".")[2] for name in left} == {"partial", "json", "lock"}


def test_a_sample_of_an_archive_in_another_needs_some_ranges(packed_twice, near, tmp_path):
    one, share_sent = packed_twice(compressed=False)
    assert near.make(one, Store(tmp_path), sample=2) == 4
    found = {"/".join(path.parts[-2:]): path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert len(found) == 4
    assert found.items() <= near.images(count=200, size=20_000).items()
    assert share_sent() < 0.5
    assert not list((tmp_path / "archives").rglob("x.7z*"))


def test_a_sample_of_one_that_is_compressed_in_another_needs_all_of_it(packed_twice, tmp_path, caplog, near):
    one, share_sent = packed_twice(compressed=True)
    with pytest.raises(DownloadError, match="--max-bytes"):
        near.make(one, Store(tmp_path), sample=2, max_bytes=1_000_000)
    assert near.make(one, Store(tmp_path), sample=2) == 4
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
