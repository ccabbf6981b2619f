import signal
import time
import uuid

import pytest
import ray

from dfd_core.errors import EngineError, NoRoomError
from tasks import cluster
from tasks.cluster import ray_session
from tasks.settings import EngineSettings

pytestmark = pytest.mark.usefixtures("ray_open")


def test_the_handler_of_sigterm_survives():
    before = signal.getsignal(signal.SIGTERM)
    with ray_session(EngineSettings()):
        assert ray.is_initialized()
        assert signal.getsignal(signal.SIGTERM) is before


def test_an_address_where_no_ray_is_gives_a_clear_error_at_once(free_port):
    address, started = f"127.0.0.1:{free_port()}", time.monotonic()
    with pytest.raises(EngineError, match=rf"did not start or answer \({address}\): .*refused.*Check that RAY_ADDRESS"):
        cluster._connect(EngineSettings(ray_address=address))
    assert time.monotonic() - started < 5  # Ray tries for minutes


def test_an_actor_that_no_machine_can_hold_is_tried_again_only_where_another_node_may_join():
    with pytest.raises(NoRoomError, match="needs 99 CPUs.* Set DFD_CPUS_PER_ACTOR"):
        cluster.actor_resources(EngineSettings(cpus_per_actor=99))
    with pytest.raises(EngineError, match="needs 99 CPUs") as caught:
        cluster.actor_resources(EngineSettings(cpus_per_actor=99, ray_address="10.0.0.1:6379"))
    assert not isinstance(caught.value, NoRoomError)


def node(cpus, gpus=0, alive=True):
    resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    return {"NodeID": uuid.uuid4().hex, "Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("nodes", "gpus", "expected"),
    [
        ([node(16, 2)], 1, 8),
        ([node(16, 2)], 0.5, 4),
        ([node(64), node(16, 1), node(12, 2)], 1, 6),  # the node with the fewest decides, those without GPUs don't
        ([node(16, 1), node(2, 1, alive=False)], 1, 16),
        ([node(7, 2)], 1, 3),
        ([node(2, 4)], 1, 0.5),
        ([node(16, 1), node(4, 2)], 2, 4),  # an actor of two GPUs fits on one of the nodes only
        ([node(16)], 1, 1),
        ([node(0, 1), node(16, 2)], 1, 8),  # a node without CPUs holds no actor
        ([node(0, 4), node(8)], 1, 1),
    ],
)
def test_an_actor_gets_its_share_of_the_cpus_beside_a_gpu(monkeypatch, nodes, gpus, expected):
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    assert cluster._cpus_beside(gpus) == expected
    usable = any(n["Resources"].get("GPU") and n["Resources"]["CPU"] for n in nodes)
    assert cluster.room_for({"num_cpus": expected, "num_gpus": gpus}) >= usable


def test_actors_of_a_gpu_node_fill_it(monkeypatch):
    nodes = [node(16, 2), node(12, 2), node(32)]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 60, "GPU": 4})
    resources = cluster.actor_resources(EngineSettings())
    assert resources == {"num_cpus": 6, "num_gpus": 1}
    assert cluster.room_for(resources) == 4
    whole = cluster.actor_resources(EngineSettings(gpus_per_actor=0.5))
    assert whole == {"num_cpus": 3, "num_gpus": 0.5}
    assert cluster.room_for(whole) == 8
