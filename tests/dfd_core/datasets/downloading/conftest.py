"""A download that soon gives up, from a server of this machine."""

import pytest

from dfd_core.datasets.downloading import Fetching, HttpOrigin, download
from dfd_core.datasets.downloading.engine import Expected


@pytest.fixture(scope="session")
def quick():
    """How tests download: small parts, short waits."""
    return Fetching(chunk_bytes=2**16, chunks_at_once=1, first_wait_s=0.01, attempts=6, longest_wait_s=3)


@pytest.fixture(scope="session")
def fetch(quick):
    """Downloads an address into a folder."""

    def to(address, folder, how=quick, timeout_s=10.0, **expected):
        return download(HttpOrigin(address, timeout_s=timeout_s), folder / "file", Expected(**expected), how)

    return to
