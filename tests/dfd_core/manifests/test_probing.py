import hashlib
import io
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import ImageError, ManifestError, PlaceUnreachableError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, build_manifest
from dfd_core.manifests.addresses import read_file
from dfd_core.manifests.listing import Files, list_folder, list_images
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


def test_a_pipe_is_not_opened_but_named_in_a_folders_listing(tmp_path, put, pipe):
    put(tmp_path, ["real/1.png", "fake/2.png", "notes/a.txt"])
    pipe(tmp_path / "fake" / "fifo.png")
    pipe(tmp_path / "fake" / "fifo.txt")
    files, notes = list_images(str(tmp_path))
    assert files.paths == ["fake/2.png", "real/1.png"]
    assert notes == [
        f"1 file in {tmp_path} is hidden or no image by its extension: notes/a.txt",
        f"2 in {tmp_path} are pipes, sockets or devices and no files, and left out: fake/fifo.png, fake/fifo.txt",
    ]
    manifest = build_manifest(FolderSource(name="x", folders=str(tmp_path), generator="gan"), SplitSpec())
    assert manifest["path"].to_pylist() == ["fake/2.png", "real/1.png"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_pipe_that_a_table_names_is_a_row_and_said_so(tmp_path, put, pipe, caplog, scheme):
    put(tmp_path, ["1.png", "2.png"])
    pipe(tmp_path / "3.png")
    rows = "".join(f"{scheme}{tmp_path}/{n}.png,{n % 2}\n" for n in (1, 2, 3))
    (tmp_path / "t.csv").write_text(f"path,label\n{rows}")
    manifest = build_manifest(TableSource(name="x", table=str(tmp_path / "t.csv")), SplitSpec())
    assert manifest["format"].to_pylist() == ["PNG", "PNG", None]
    assert "3.png (it is a pipe and no file)" in caplog.text
    with pytest.raises(FileNotFoundError, match="it is a pipe and no file"):
        read_file(manifest["url"][2].as_py())


class Server(BaseHTTPRequestHandler):
    """Has every PNG but those whose path begins with `bad`, for which it has a status instead."""

    status, bad = 403, "/2.png"

    def do_GET(self):
        if self.path.startswith(self.bad):
            self.send_error(self.status)
            return
        data = encoded("PNG") + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if self.command == "GET" else b"")

    do_HEAD = do_GET  # noqa: N815 - as the server asks for it

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def table_on_a_server(tmp_path):
    """A table of ten images on a web server, and the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Server,), {}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rows = "".join(f"http://127.0.0.1:{server.server_port}/{n}.png,{n % 2}\n" for n in range(10))
    (tmp_path / "t.csv").write_text(f"url,label\n{rows}")
    yield TableSource(name="x", table=str(tmp_path / "t.csv")), server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_address_that_is_refused_is_a_row_and_named(table_on_a_server, caplog, status):
    source, server = table_on_a_server
    server.RequestHandlerClass.status = status
    manifest = build_manifest(source, SplitSpec())
    assert [i for i, one in enumerate(manifest["format"].to_pylist()) if one is None] == [2]
    assert "1 of 10 files can't be read: http" in caplog.text
    assert "/2.png (" in caplog.text
    with pytest.raises(ImageError) as caught:
        read_original(manifest["url"][2].as_py(), manifest["sample_id"][2].as_py())
    assert caught.value.status == "missing"


@pytest.mark.parametrize("status", [503, 429])
def test_a_server_that_does_not_answer_is_an_error_that_names_what_is_lacking(table_on_a_server, status):
    source, server = table_on_a_server
    server.RequestHandlerClass.status = status
    with pytest.raises(
        PlaceUnreachableError, match=rf"1 of 10 files are out of reach: .*/2\.png \(.*{status}.* same command again"
    ):
        build_manifest(source, SplitSpec())


def test_a_server_that_answers_nothing_is_out_of_reach_and_not_without_files(table_on_a_server):
    source, server = table_on_a_server
    server.RequestHandlerClass.status, server.RequestHandlerClass.bad = 503, "/"
    with pytest.raises(PlaceUnreachableError, match="10 of 10 files are out of reach"):
        build_manifest(source, SplitSpec())
    with pytest.raises(PlaceUnreachableError, match="503"):
        build_manifest(TableSource(name="x", table=f"http://127.0.0.1:{server.server_port}/t.csv"), SplitSpec())


def test_a_server_that_is_down_is_one_too(table_on_a_server, put, tmp_path):
    source, server = table_on_a_server
    put(tmp_path, [f"{n}.png" for n in range(12)])
    table = tmp_path / "t.csv"
    table.write_text(table.read_text() + "".join(f"{tmp_path}/{n}.png,1\n" for n in range(12)))
    server.shutdown()
    server.server_close()
    with pytest.raises(ManifestError, match="10 of 22 files are out of reach"):
        build_manifest(source, SplitSpec())


def test_no_files_no_probes():
    assert probe(Files(), {}) == []
