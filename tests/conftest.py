"""What all tests share: the reference data, where it is present."""

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
