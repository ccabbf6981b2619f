"""A Ray of this test session, on loopback, and small work for it."""

import os

import pytest

os.environ.setdefault("RAY_AUTH_MODE", "disabled")


@pytest.fixture(scope="session")
def ray_open():
    """Ray with two CPUs, kept open for all tests of the session."""
    from tasks.dispatcher import ray_kept_open, ray_session
    from tasks.settings import EngineSettings

    with ray_kept_open(), ray_session(EngineSettings()):
        yield
