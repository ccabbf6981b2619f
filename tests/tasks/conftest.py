"""A Ray of this test session, on loopback, and small work for it."""

import pytest

from tasks.settings import apply_defaults

apply_defaults()  # before anything imports Ray


@pytest.fixture(scope="session")
def ray_open():
    """Ray with two CPUs, kept open for all tests of the session."""
    from tasks.cluster import ray_kept_open, ray_session
    from tasks.settings import EngineSettings

    with ray_kept_open(), ray_session(EngineSettings()):
        yield
