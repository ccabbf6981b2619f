"""What all tests share: the reference data, where it is present, pictures of noise, and a cache of their own."""

import contextlib
import io
import os
import random
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

settings.register_profile("dfd", deadline=None)  # a busy machine is no failure
settings.load_profile("dfd")

REAL_AND_FAKE = MappingProxyType({"gan1/real": "png", "gan1/fake": "png"})


@pytest.fixture(scope="session")
def reference_images() -> Path:
    """The folder of reference images; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "images"
    if not folder.is_dir():
        pytest.skip("the reference images are absent")
    return folder


@pytest.fixture(scope="session")
def noise_images() -> Callable[..., Path]:
    """Makes folders of n pictures of seeded noise below a root; each folder with the ending of its files."""

    def make(root: Path, n: int, folders: Mapping[str, str] = REAL_AND_FAKE, side: int = 40) -> Path:
        rng = np.random.default_rng(0)
        for folder, ending in folders.items():
            (root / folder).mkdir(parents=True)
            for index in range(n):
                pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / folder / f"{index}.{ending}")
        return root

    return make


@pytest.fixture(scope="session")
def packed() -> Callable[..., bytes]:
    """Makes a `zip`, `tar`, `tar.gz` or `7z` archive of files by name; in a zip those that begin so are deflated."""

    def pack(kind: str, files: Mapping[str, bytes], deflated: str | None = None) -> bytes:
        file = io.BytesIO()
        if kind == "zip":
            with zipfile.ZipFile(file, "w") as archive:
                for name, data in files.items():
                    shrinks = deflated is not None and name.startswith(deflated)
                    archive.writestr(name, data, zipfile.ZIP_DEFLATED if shrinks else zipfile.ZIP_STORED)
        elif kind == "7z":
            with pytest.importorskip("py7zr").SevenZipFile(file, "w") as archive:
                for name, data in files.items():
                    archive.writestr(data, name)
        else:
            with tarfile.open(fileobj=file, mode="w:gz" if kind == "tar.gz" else "w") as archive:
                for name, data in files.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        return file.getvalue()

    return pack


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a port where nobody listens, below those that the system hands to Ray and others in the meantime."""

    def find() -> int:
        while True:
            port = random.SystemRandom().randrange(10_000, 32_000)
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port

    return find


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory) -> Iterator[None]:
    """Weights, compiled networks and what was found out about this machine go to a folder of this session."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before
