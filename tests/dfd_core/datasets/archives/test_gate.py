"""Members that must not be unpacked: each is refused by name, whatever holds it, before a byte is read."""

import gzip
import io
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from dfd_core.datasets.archives.containers import open_container
from dfd_core.datasets.archives.gate import Limits
from dfd_core.errors import ArchiveError


def zipped(*entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.filename = name
            info.external_attr = mode << 16
            info.create_system = 3
            info.compress_type = compression
            archive.writestr(info, data)
    return file


def tarred(*entries, mode="w"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, data, kind in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "target", len(data) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))
    return file


REG = stat.S_IFREG | 0o644
NAMES = [
    ("/etc/passwd", "absolute"),
    ("C:/x.png", "absolute"),
    ("a/../../x.png", r"`\.\.`"),
    ("a\\x.png", "backslashes"),
    ("a//x.png", "empty parts"),
    ("a\nb.png", "control"),
]
CLASHES = [("a/B.png", "a/b.png"), ("a/é.png", "a/e\u0301.png"), ("A/x.png", "a/y.png"), ("a", "a/x.png"), ("x", "x")]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize(("name", "why"), NAMES)
def test_names_that_lead_elsewhere(kind, name, why):
    refused(kind, why, name, ("good.png", b"1"), (name, b"2"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("names", CLASHES, ids=str)
def test_names_that_are_one_on_some_disks(kind, names):
    refused(kind, "place|case|below", None, *((name, b"1") for name in names))


def refused(kind, why, named, *files):
    if kind == "zip":
        file = zipped(*((name, data, REG) for name, data in files))
    else:
        mode = "w:gz" if kind == "tar.gz" else "w"
        file = tarred(*((name, data, tarfile.REGTYPE) for name, data in files), mode=mode)
    with pytest.raises(ArchiveError, match=why) as error, open_container("some.archive", file, kind) as container:
        container.members()
    assert "some.archive" in str(error.value)
    assert named is None or repr(named) in str(error.value)


@pytest.mark.parametrize(
    ("mode", "why"), [(stat.S_IFLNK, "symbolic link"), (stat.S_IFCHR, "device"), (stat.S_IFIFO, "pipe")]
)
def test_special_files_in_zip(mode, why):
    with pytest.raises(ArchiveError, match=f"'evil'.*{why}"):
        open_container("x.zip", zipped(("evil", b"/etc/passwd", mode | 0o777)), "zip").members()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_special_files_in_tar(kind):
    with pytest.raises(ArchiveError, match="'evil'.*(a link|a device)"):
        open_container("x.tar", tarred(("evil", b"", kind)), "tar").members()


def test_bombs_by_ratio_count_and_size():
    bomb = zipped(("zeros.png", bytes(20 * 2**20), REG), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ArchiveError, match=r"'zeros.png'.*would become 20,971,520"):
        open_container("x.zip", bomb, "zip").members()
    gz = tarred(("zeros.png", bytes(20 * 2**20), tarfile.REGTYPE), mode="w:gz")
    with pytest.raises(ArchiveError, match=r"'zeros.png'.*would become"):
        open_container("x.tar.gz", gz, "tar.gz").members()
    many = zipped(*((f"{i}.png", b"1", REG) for i in range(5)))
    with pytest.raises(ArchiveError, match=r"'3.png'.*more than 3 files"):
        open_container("x.zip", many, "zip", Limits(members=3)).members()
    folders = zipped(*((f"{i}/", b"", stat.S_IFDIR | 0o755) for i in range(5)))
    with pytest.raises(ArchiveError, match=r"'3'.*more than 3 files and folders"):
        open_container("x.zip", folders, "zip", Limits(members=3)).members()
    deep = zipped(("a/b/c/d/x.png", b"1", REG), ("a/" * 3000 + "x.png", b"1", REG))
    with pytest.raises(ArchiveError, match=r"'a/b/c/d/x.png'.*more than 3 files and folders"):
        open_container("x.zip", deep, "zip", Limits(members=3)).members()
    with pytest.raises(ArchiveError, match=r"'a/a/.*its path has more than 4,096 bytes"):
        open_container("x.zip", deep, "zip").members()
    with pytest.raises(ArchiveError, match="would have 1 bytes|would have 2 bytes"):
        open_container("x.zip", zipped(("a.png", b"12", REG)), "zip", Limits(member_bytes=1)).members()


def peak_of(act):
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_that_says_too_little_of_a_member_is_not_unpacked_beyond_it(method):
    data = bytearray(zipped(("x.png", bytes(200 * 2**20), REG), compression=method).getvalue())
    for at in (22, data.rindex(b"PK\x01\x02") + 24):  # the sizes in the local header and in the directory
        data[at : at + 4] = (100_000).to_bytes(4, "little")

    def read():
        with open_container("x.zip", io.BytesIO(bytes(data)), "zip") as container:
            list(container.read(container.members()))

    def refused_read():
        with pytest.raises(ArchiveError, match="'x.png'|damaged"):
            read()

    assert peak_of(refused_read) < 120 * 2**20


def test_a_method_that_unpacks_at_once_whatever_it_becomes():
    bomb = zipped(("x.png", b"1", REG), compression=zipfile.ZIP_BZIP2)
    with pytest.raises(ArchiveError, match="'x.png': it is packed by the method 12.*unpack it yourself"):
        open_container("x.zip", bomb, "zip").members()


def inflating(kind, size):
    """A tar.gz whose first header has another header of some size before it."""
    info = tarfile.TarInfo("PaxHeaders/x" if kind == tarfile.XHDTYPE else "././@LongLink")
    info.type, info.size = kind, size
    layout = tarfile.USTAR_FORMAT if kind == tarfile.XHDTYPE else tarfile.GNU_FORMAT
    return gzip.compress(info.tobuf(layout) + bytes(size + 1024), compresslevel=1)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_that_would_fill_the_memory(kind):
    data = inflating(kind, 100 * 2**20)

    def read():
        with pytest.raises(ArchiveError, match="it has a header of 104,857,600 bytes"):
            open_container("x.tar.gz", io.BytesIO(data), "tar.gz").members()

    assert peak_of(read) < 10 * 2**20


def test_what_a_compressed_tar_has_beside_its_members_counts_too():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for i in range(60):
            info = tarfile.TarInfo(f"{i}.png")
            info.pax_headers = {"comment": "a" * 900_000}
            archive.addfile(info)
    with pytest.raises(ArchiveError, match=r"'\d+\.png': with what follows, .* bytes of archive become more than"):
        open_container("x.tar.gz", io.BytesIO(file.getvalue()), "tar.gz").members()


def test_headers_without_end_are_damage():
    header = tarfile.TarInfo("PaxHeaders/x")
    header.type, header.size = tarfile.XHDTYPE, 512
    with pytest.raises(ArchiveError, match="damaged"):
        open_container("x.tar", io.BytesIO((header.tobuf() + b"9 a=bcd\n" + bytes(504)) * 2000), "tar").members()


def test_an_encrypted_member():
    file = zipped(("secret.png", b"1", REG))
    data = bytearray(file.getvalue())
    data[6] |= 1  # the flag in the local header, and in the central directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveError, match=r"'secret.png'.*encrypted"):
        open_container("x.zip", io.BytesIO(bytes(data)), "zip").members()


def test_folders_and_a_leading_dot_are_fine():
    file = tarred(("./", b"", tarfile.DIRTYPE), ("./a", b"", tarfile.DIRTYPE), ("./a/x.png", b"1", tarfile.REGTYPE))
    assert [member.path for member in open_container("x.tar", file, "tar").members()] == ["a/x.png"]
