"""What all tests share: the reference data, where it is present."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("dfd", deadline=None)  # a busy machine is no failure
settings.load_profile("dfd")


@pytest.fixture(scope="session")
def reference_images() -> Path:
    """The folder of reference images; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "images"
    if not folder.is_dir():
        pytest.skip("the reference images are absent")
    return folder


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
