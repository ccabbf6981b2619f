"""Archives that `zip -s` split: the real program's where it is installed, and the same layout made here."""

import io
import random
import shutil
import struct
import subprocess
import zipfile

import pytest

from dfd_core.datasets import by_hand, opening, shelf
from dfd_core.datasets.archives import spanned
from dfd_core.datasets.archives.containers import open_container
from dfd_core.datasets.catalogue import DATASETS
from dfd_core.errors import ArchiveError
from dfd_core.storage import Store

FILES = {f"set/train/ai/{i:02d}.png": random.Random(i).randbytes(7000 + i) for i in range(40)}


def split(step, wide=False):
    """Cuts a zip archive as `zip -s` does: each part counts from its own beginning, 4 bytes of mark in the first."""
    file = io.BytesIO()
    file.write(b"PK\x07\x08")
    with zipfile.ZipFile(file, "a") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
        directory, entries = archive.start_dir, len(FILES)
    data = file.getvalue()
    out, at, end = bytearray(data[:directory]), directory, data.rindex(b"PK\x05\x06")
    while at < end:
        names, extras, comments = struct.unpack("<HHH", data[at + 28 : at + 34])
        entry = bytearray(data[at : at + 46 + names + extras + comments])
        at += len(entry)
        part, offset = divmod(struct.unpack("<I", entry[42:46])[0], step)
        if wide:
            sizes = struct.unpack("<II", entry[20:28])
            entry[20:28], entry[34:36], entry[42:46] = b"\xff" * 8, b"\xff" * 2, b"\xff" * 4
            entry[30:32] = struct.pack("<H", 32)
            entry += struct.pack("<HHQQQI", 1, 28, sizes[1], sizes[0], offset, part)
        else:
            entry[34:36], entry[42:46] = struct.pack("<H", part), struct.pack("<I", offset)
        out += entry
    size = len(out) - directory
    last = len(out) // step + wide
    here, there = divmod(directory, step)
    if wide:
        out += b"\0" * (step * last - len(out))  # so that the end is in the last part, whatever it takes
        out += struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, last, here, 0, entries, size, there)
        out += struct.pack("<4sIQI", b"PK\6\7", last, 0, last + 1)
        out += struct.pack("<4sHHHHIIH", b"PK\5\6", 65535, 65535, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    else:
        out += b"\0" * (step * last - len(out))
        out += struct.pack("<4sHHHHIIH", b"PK\5\6", last, here, 0, entries, size, there, 0)
    return [bytes(out[i : i + step]) for i in range(0, len(out), step)]


def opened(parts):
    return open_container("x", spanned.joined("x", [io.BytesIO(part) for part in parts]), "zip")


def content(container):
    with container:
        return {member.path: data for member, data in container.read(container.members())}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("step", [3000, 50_000])
def test_members_come_as_they_went_in(step, wide):
    parts = split(step, wide)
    assert len(parts) > 5
    assert content(opened(parts)) == FILES


def test_a_missing_part_is_named():
    parts = split(50_000)
    with pytest.raises(ArchiveError, match=rf"{len(parts)} parts, of which {len(parts) - 1} are there"):
        opened(parts[1:])
    with pytest.raises(ArchiveError, match=r"of which 1 are there.*\.z01 to"):
        opened(parts[-1:])
    with pytest.raises(ArchiveError, match="damaged or cut"):
        opened(parts[:-1])


def test_a_damaged_directory_is_an_error_and_nothing_else():
    parts = split(50_000)
    rng = random.Random(0)
    for _ in range(200):
        last = bytearray(parts[-1])
        for _ in range(4):
            last[rng.randrange(len(last))] = rng.randrange(256)
        try:
            found = content(opened([*parts[:-1], bytes(last)]))
        except ArchiveError:
            continue
        assert set(found.values()) <= set(FILES.values())


def test_what_the_program_zip_splits_is_read_where_a_person_put_it(tmp_path):
    if shutil.which("zip") is None:
        pytest.skip("there is no program zip")
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    place = tmp_path / "store" / "by_hand" / "genimage" / "BigGAN"
    place.mkdir(parents=True)
    subprocess.run(["zip", "-q", "-r", "-s", "64k", str(place / "x.zip"), "set"], cwd=tmp_path, check=True)
    (place / "y.zip").write_bytes(zip_of({"z.png": b"1"}))
    assert (place / "x.z03").exists()
    store = Store(tmp_path / "store")
    found = by_hand.look(DATASETS["genimage"], store)
    split_one, whole_one = found.archives
    assert [part.name for part in split_one.parts][:2] == ["x.z01", "x.z02"]
    assert split_one.parts[-1].name == "x.zip"
    for archive, files in ((split_one, FILES), (whole_one, {"z.png": b"1"})):
        assert content(opening.open_local(archive, [shelf.local_path(part, store) for part in archive.parts])) == files


def zip_of(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()
