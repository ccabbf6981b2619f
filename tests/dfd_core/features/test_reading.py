import hashlib

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
