"""Tiny images in any layout, on disk or in memory."""

import hashlib
import io
import uuid
from collections.abc import Callable, Iterable, Iterator

import fsspec
import pytest
from PIL import Image

Put = Callable[..., str]


def tiny_png(name: str, size: tuple[int, int] = (3, 2)) -> bytes:
    digest = hashlib.sha256(name.encode()).digest()
    buffer = io.BytesIO()
    Image.new("RGB", size, (digest[0], digest[1], digest[2])).save(buffer, "png", pnginfo=_named(name))
    return buffer.getvalue()


def _named(name: str):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("name", name)
    return info


@pytest.fixture
def png() -> Callable[..., bytes]:
    """The bytes of a PNG that differ for every name."""
    return tiny_png


@pytest.fixture
def put() -> Put:
    """Writes a PNG, or given bytes, at each path below an fsspec URL; returns the URL."""

    def write(url, paths: Iterable[str] | dict[str, bytes]) -> str:
        contents = paths if isinstance(paths, dict) else {path: tiny_png(path) for path in paths}
        fs, root = fsspec.core.url_to_fs(str(url))
        for path, data in contents.items():
            fs.makedirs(f"{root}/{path}".rpartition("/")[0], exist_ok=True)
            fs.pipe_file(f"{root}/{path}", data)
        return str(url)

    return write


@pytest.fixture
def memory() -> Iterator[str]:
    """A fresh folder in fsspec's memory file system, as a stand-in for a bucket."""
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    fs, root = fsspec.core.url_to_fs(url)
    if fs.exists(root):
        fs.rm(root, recursive=True)
