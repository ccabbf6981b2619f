import signal

import pytest
import ray

from dfd_core.errors import EngineError
from tasks import cluster
from tasks.cluster import ray_session
from tasks.settings import EngineSettings

pytestmark = pytest.mark.usefixtures("ray_open")


def test_the_handler_of_sigterm_survives():
    before = signal.getsignal(signal.SIGTERM)
    with ray_session(EngineSettings()):
        assert ray.is_initialized()
        assert signal.getsignal(signal.SIGTERM) is before


def test_an_address_where_no_ray_is_gives_a_clear_error(monkeypatch):
    monkeypatch.setattr(cluster.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster.ray, "init", lambda *a, **k: (_ for _ in ()).throw(ConnectionError("refused")))
    with pytest.raises(EngineError, match=r"did not start or answer \(127\.0\.0\.1:1\): refused"):
        cluster._connect(EngineSettings(ray_address="127.0.0.1:1"))
