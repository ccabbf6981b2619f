import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from dfd_core.errors import ImageError, StoreError
from dfd_core.features.reading import read_original
from dfd_core.manifests.unreadable import made_up_id

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


@pytest.mark.parametrize("url", ["{}/set/f2/a.jpg", "file://{}/set/f2/a.jpg", "slice://0,5@{}/set/f2/a.jpg"])
def test_a_folder_that_is_gone_is_a_place_that_is_away(tmp_path, url):
    folder = tmp_path / "set" / "f2"
    folder.mkdir(parents=True)
    (folder / "b.jpg").write_bytes(DATA)
    url = url.format(tmp_path)
    with pytest.raises(ImageError) as caught:
        read_original(url, SAMPLE_ID)
    assert caught.value.status == "missing"
    folder.rename(tmp_path / "set" / "f2_away")
    with pytest.raises(
        StoreError, match=r"Could not read .*: its folder .*/set/f2 is gone\. Mount or restore it, then"
    ):
        read_original(url, SAMPLE_ID)
    folder.write_bytes(b"a file in the folder's place")
    with pytest.raises(StoreError, match="is gone"):
        read_original(url, SAMPLE_ID)


def test_a_file_whose_folder_was_never_there_stays_a_row(tmp_path):
    url = f"{tmp_path}/never/a.jpg"
    with pytest.raises(ImageError) as caught:
        read_original(url, made_up_id(url))
    assert caught.value.status == "missing"


@pytest.mark.parametrize("url", ["{}", "file://{}"])
def test_a_pipe_is_a_row_and_never_opened(tmp_path, pipe, url):
    pipe(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="it is a pipe and no file") as caught:
        read_original(url.format(tmp_path / "a.jpg"), SAMPLE_ID)
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


class Unwilling(BaseHTTPRequestHandler):
    """Answers with the status that the path names, which its client does not count among the system's errors."""

    def do_GET(self):
        self.send_error(int(self.path.strip("/").removesuffix(".jpg")))

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unwilling)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [500, 503, 429])
def test_neither_is_a_server_that_answers_with_an_error(server, status):
    with pytest.raises(StoreError, match=rf"Could not read http.*{status}.* Check that its place can be reached"):
        read_original(f"{server}/{status}.jpg", SAMPLE_ID)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_a_server_refuses_is_a_row(server, status):
    with pytest.raises(ImageError, match=rf"{status}") as caught:
        read_original(f"{server}/{status}.jpg", SAMPLE_ID)
    assert caught.value.status == "missing"


def test_neither_is_an_address_that_no_client_understands():
    with pytest.raises(StoreError, match="Could not read nonsense://"):
        read_original("nonsense://a.jpg", SAMPLE_ID)
