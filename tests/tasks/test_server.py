"""Finding and starting a server, where no server is needed to see it go wrong; the rest is in `tests/flows`."""

import pytest
from filelock import FileLock

from dfd_core.errors import EngineError
from tasks import server


def test_a_start_that_never_ends_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(server, "START_TIMEOUT_S", 0.2)
    with (
        FileLock(tmp_path / "dfd-server.lock"),
        pytest.raises(EngineError, match=r"dfd-server\.lock for 0\.2 s.*again"),
    ):
        server.find_or_start(1, print)
