import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from dfd_core.errors import ImageError, StoreError
from dfd_core.features.reading import read_original

DATA = b"some bytes"
SAMPLE_ID = hashlib.sha256(DATA).hexdigest()


def test_bytes_come_from_disk_and_from_any_store(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(DATA)
    assert read_original(str(path), SAMPLE_ID) == DATA
    with fsspec.open("memory://bucket/a.jpg", "wb") as file:
        file.write(DATA)
    assert read_original("memory://bucket/a.jpg", SAMPLE_ID) == DATA


@pytest.mark.parametrize("url", ["{}/nothing.jpg", "memory://bucket/nothing.jpg", "{}"])
def test_a_file_that_is_gone_is_a_row(tmp_path, url):
    with pytest.raises(ImageError) as caught:
        read_original(url.format(tmp_path), SAMPLE_ID)
    assert caught.value.status == "missing"


def test_a_file_that_changed_is_a_row(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(DATA + b"!")
    with pytest.raises(ImageError) as caught:
        read_original(str(path), SAMPLE_ID)
    assert caught.value.status == "changed"


def test_a_place_out_of_reach_is_no_fault_of_the_image():
    with pytest.raises((StoreError, ImageError)) as caught:
        read_original("http://127.0.0.1:9/a.jpg", SAMPLE_ID)
    assert isinstance(caught.value, StoreError), caught.value


class Overloaded(BaseHTTPRequestHandler):
    """Answers everything with an error of its own, which its client does not count among the system's."""

    def do_GET(self):
        self.send_error(503)

    def log_message(self, *_):
        """Says nothing."""


def test_neither_is_a_server_that_answers_with_an_error():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Overloaded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/a.jpg"
    try:
        with pytest.raises(StoreError, match=r"Could not read http.*503.* See whether its place can be reached"):
            read_original(url, SAMPLE_ID)
    finally:
        server.shutdown()
        server.server_close()


def test_neither_is_an_address_that_no_client_understands():
    with pytest.raises(StoreError, match="Could not read nonsense://"):
        read_original("nonsense://a.jpg", SAMPLE_ID)
