import hashlib
import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import ManifestError
from dfd_core.manifests import SplitSpec, build_manifest
from dfd_core.manifests.listing import Files, list_folder
from dfd_core.manifests.probing import Probe, probe, probe_bytes


def encoded(fmt: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (7, 5)).save(buffer, fmt)
    return buffer.getvalue()


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_digest_format_and_dimensions(fmt):
    data = encoded(fmt)
    assert probe_bytes(data) == Probe(hashlib.sha256(data).hexdigest(), len(data), fmt, 7, 5)


@pytest.mark.parametrize("data", [b"", b"not an image", encoded("PNG")[:10], encoded("JPEG")[:3]])
def test_an_unreadable_header_gives_nulls(data):
    assert probe_bytes(data)[1:] == (len(data), None, None, None)


@pytest.mark.parametrize("place", [18, 22])
def test_a_damaged_bmp_whose_dimensions_no_column_holds_is_a_row_without_header(place, tmp_path):
    data = bytearray(encoded("BMP"))
    data[place : place + 4] = struct.pack("<I", 2**31 + 5)
    assert probe_bytes(bytes(data))[2:] == (None, None, None)
    for kind in ("real", "fake"):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (7, len(kind) + ord(kind[0]))).save(tmp_path / kind / "1.png")
    (tmp_path / "real" / "2.bmp").write_bytes(bytes(data))
    source = FolderSource(name="x", folders=str(tmp_path), generator="gan")
    assert build_manifest(source, SplitSpec())["width"].null_count == 1


def test_pixels_are_not_decoded_and_truncation_is_not_noticed_here():
    assert probe_bytes(encoded("PNG")[:-20])[2:] == ("PNG", 7, 5)
    assert probe_bytes(encoded("JPEG")[:-5])[2:] == ("JPEG", 7, 5)


def test_dimensions_of_an_image_too_large_to_decode_are_still_read():
    header = struct.pack(">IIBBBBB", 200_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    pixels = struct.pack(">I", 10) + b"IDAT"
    assert probe_bytes(b"\x89PNG\r\n\x1a\n" + chunk + pixels)[2:] == ("PNG", 200_000, 100_000)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"II*\x00", b"RIFF", b"GIF89a", b"BM"]))
def test_no_bytes_make_it_fail(data, magic):
    assert probe_bytes(magic + data).size_bytes == len(magic + data)


def test_files_are_probed_in_their_order_and_known_ones_not_read(tmp_path, put, png):
    put(tmp_path, [f"{i:02}.png" for i in range(20)])
    files = list_folder(str(tmp_path))
    known = {3: Probe("f" * 64, 1, None, None, None)}
    calls = []
    probes = probe(files, known, lambda done, total: calls.append((done, total)))
    expected = [hashlib.sha256(png(f"{i:02}.png")).hexdigest() for i in range(20)]
    assert [p.sample_id for p in probes] == [*expected[:3], "f" * 64, *expected[4:]]
    assert calls[-1] == (20, 20)
    assert calls == sorted(calls)


def test_a_vanished_file_is_a_row_of_its_own_and_named(tmp_path, put, caplog):
    put(tmp_path, ["a.png", "b.png", "c.png"])
    files = list_folder(str(tmp_path))
    (tmp_path / "b.png").unlink()
    found = probe(files, {})
    assert [one.format for one in found] == ["PNG", None, "PNG"]
    assert len({one.sample_id for one in found}) == 3
    assert "1 of 3 files can't be read" in caplog.text
    assert "b.png (it is not there)" in caplog.text


def test_where_most_files_vanished_the_place_is_wrong(tmp_path, put):
    put(tmp_path, ["a.png", "b.png", "c.png"])
    files = list_folder(str(tmp_path))
    for name in ("a.png", "b.png"):
        (tmp_path / name).unlink()
    with pytest.raises(
        ManifestError, match=r"2 of 3 files can't be read: .*a\.png \(it is not there\).*Check the place"
    ):
        probe(files, {})


def test_no_files_no_probes():
    assert probe(Files(), {}) == []
