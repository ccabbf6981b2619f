import io
import os
import random
import signal
import struct
import threading
import zipfile

import pytest

from dfd_core.datasets.archives.containers import kind_of, open_container
from dfd_core.datasets.archives.joined import Joined
from dfd_core.datasets.archives.ranged import Ranged
from dfd_core.datasets.archives.slices import slice_url
from dfd_core.datasets.downloading import Fetching, HttpOrigin
from dfd_core.errors import ArchiveError, DownloadError, ImageError
from dfd_core.features.reading import read_original
from dfd_core.manifests.listing import Files
from dfd_core.manifests.probing import probe_bytes

FILES = {f"{kind}/{i:03d}.png": random.Random(f"{kind}{i}").randbytes(3000) for kind in "ab" for i in range(20)}


@pytest.fixture(scope="module")
def made(packed):
    """Makes an archive of `FILES`, or of others; in a zip half of them are compressed."""
    return lambda kind, files=FILES: packed(kind, files, deflated="b")


def read_all(file, kind):
    with open_container("x", file, kind) as container:
        return list(container.read(container.members()))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "7z"])
@pytest.mark.parametrize("parts", [1, 5])
def test_members_come_as_they_went_in_whole_or_split(kind, parts, made):
    data = made(kind)
    step = -(-len(data) // parts)
    file = io.BufferedReader(Joined([io.BytesIO(data[i : i + step]) for i in range(0, len(data), step)]))
    with open_container("x", file, kind) as container:
        members = container.members()
        assert {member.path: member.size for member in members} == dict.fromkeys(FILES, 3000)
        assert {member.path: data for member, data in container.read(members)} == FILES
        some = [member for member in members if member.path.endswith("7.png")]
        assert {member.path: data for member, data in container.read(some)}.keys() == {m.path for m in some}
        copied = io.BytesIO()
        container.copy(members[3], copied)
        assert copied.getvalue() == FILES[members[3].path]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "7z"])
@pytest.mark.parametrize("part", [0.3, 0.93])
def test_an_archive_that_was_cut_is_damaged(kind, part, made):
    data = made(kind)
    with pytest.raises(ArchiveError, match="damaged or cut"):
        read_all(io.BytesIO(data[: int(part * len(data))]), kind)


@pytest.mark.parametrize("kind", ["zip", "7z"])
def test_flipped_bytes_are_found(kind, made):
    data = bytearray(made(kind))
    data[9000:9004] = b"oops"
    with pytest.raises(ArchiveError, match="damaged"):
        read_all(io.BytesIO(bytes(data)), kind)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_of_a_zip_that_overlap_are_refused_before_any_is_read(method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in ("a.png", "b.png", "c.png"):
            archive.writestr(name, random.Random(name).randbytes(1000))
        second = archive.getinfo("b.png").header_offset
    data = bytearray(file.getvalue())
    entry = data.rindex(b"PK\1\2")  # that of the third
    data[entry + 42 : entry + 46] = struct.pack("<I", second + 40)
    overlapping = pytest.raises(ArchiveError, match="'c.png': it overlaps 'b.png'.*unpack it yourself")
    with open_container("x", io.BytesIO(bytes(data)), "zip") as container, overlapping:
        container.members()


def test_who_stops_reading_a_7z_early_waits_for_nobody(made):
    with open_container("x.7z", io.BytesIO(made("7z")), "7z") as container:
        reading = container.read(container.members())
        next(reading)
        reading.close()


class Silent(io.BytesIO):
    """A file on a disk that does not answer any more, from some moment on."""

    def __init__(self, data):
        super().__init__(data)
        self.hangs, self.asked, self.over = False, threading.Event(), threading.Event()

    def read(self, size=-1):
        if self.hangs:
            self.asked.set()
            self.over.wait(60)
        return super().read(size)


@pytest.fixture
def hears_ctrl_c():
    """A shell's job in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_does_not_wait_for_a_7z_whose_disk_is_silent(made):
    file = Silent(made("7z"))

    def interrupt():
        file.asked.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    def read():
        with open_container("x.7z", file, "7z") as container:
            members = container.members()
            file.hangs = True
            threading.Thread(target=interrupt, daemon=True).start()
            list(container.read(members))

    with pytest.raises(KeyboardInterrupt):
        read()
    (left,) = [thread for thread in threading.enumerate() if thread.name == "dfd-crew"]
    assert left.is_alive()  # in its first read
    file.over.set()
    left.join(30)
    assert not left.is_alive()


def test_an_encrypted_7z_is_refused():
    py7zr = pytest.importorskip("py7zr")
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w", password="secret") as archive:
        archive.writestr(b"1", "a.png")
    with pytest.raises(ArchiveError, match=r"'a.png'.*encrypted"):
        open_container("x.7z", io.BytesIO(file.getvalue()), "7z").members()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_images_are_read_in_place(kind, made, tmp_path):
    path = tmp_path / f"x.{kind}"
    path.write_bytes(made(kind))
    with open_container("x", path.open("rb"), kind) as container:
        members = [member for member in container.members() if member.plain]
        assert len(members) == (20 if kind == "zip" else 40)
        urls = {slice_url(container.offset(m), m.size, str(path)): FILES[m.path] for m in members}
    for url, data in urls.items():
        assert read_original(url, probe_bytes(data).sample_id) == data
    files = Files(paths=list(map(str, range(len(urls)))), urls=list(urls))
    files.locate()
    assert files.sizes == [3000] * len(urls)
    assert len(set(files.stamps)) == 1
    assert files.stamps[0]
    path.write_bytes(made(kind)[:5000])
    with pytest.raises(ImageError, match="changed"):
        read_original(list(urls)[-1], probe_bytes(urls[list(urls)[-1]]).sample_id)
    path.unlink()
    with pytest.raises(ImageError, match="missing"):
        read_original(next(iter(urls)), "0" * 64)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_few_members_of_a_large_archive_cost_a_few_ranges(kind, serve, made):
    large = {name: random.Random(name).randbytes(200_000) for name in FILES}
    address, behaviour = serve(made(kind, large), cut_after=100_000, cuts=3)
    file = Ranged(HttpOrigin(address), Fetching(first_wait_s=0.01))
    with open_container("x", io.BufferedReader(file), kind) as container:
        wanted = [m for m in container.members() if m.path == "a/004.png"]
        behaviour.sent = 0
        ((_, data),) = container.read(wanted)
    assert data == large["a/004.png"]
    assert behaviour.sent < 1_200_000


def test_a_limit_of_bytes_and_a_server_without_ranges_are_errors(serve, made):
    data = made("zip", {name: bytes(200_000) for name in FILES} | {"z.png": random.Random(0).randbytes(10**6)})
    address, _ = serve(data)
    with pytest.raises(DownloadError, match="--max-bytes 300,000"):
        read_all(io.BufferedReader(Ranged(HttpOrigin(address), max_bytes=300_000)), "zip")
    address, _ = serve(data, ranges=False)
    with pytest.raises(DownloadError, match="only be downloaded whole"):
        Ranged(HttpOrigin(address))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.7z.001", "7z"), ("a.zip.002", "zip"), ("a.tar.00", "tar"), ("A.TGZ", "tar.gz"), ("a.png", None)],
)
def test_kinds_by_name(name, kind):
    assert kind_of(name) == kind
