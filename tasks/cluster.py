"""The Ray cluster: connecting to it or starting one on this machine, and what its nodes have room for."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dfd_core.errors import EngineError, NoRoomError
from tasks.settings import EngineSettings, apply_defaults

apply_defaults()  # Ray reads its environment when it is imported
import ray  # noqa: E402
from ray.exceptions import ActorUnavailableError, RayActorError  # noqa: E402

_KNOCK_S = 10.0
_keepers = 0


@contextmanager
def ray_session(settings: EngineSettings) -> Iterator[None]:
    """Connects to the cluster of the settings, or starts Ray on this machine; ends it unless it is kept open."""
    with ray_kept_open():
        if not ray.is_initialized():
            _connect(settings)
        yield


def how_ray_begins(settings: EngineSettings) -> str:
    """What `ray_session` is about to do, in words; empty where Ray runs already."""
    if ray.is_initialized():
        return ""
    return f"Connecting to the Ray cluster at {settings.ray_address}" if settings.ray_address else "Starting Ray"


@contextmanager
def ray_kept_open() -> Iterator[None]:
    """Ray that is started inside is ended here and not before, so that several steps share one start."""
    global _keepers  # noqa: PLW0603
    was_open = ray.is_initialized()
    _keepers += 1
    try:
        yield
    finally:
        _keepers -= 1
        if not _keepers and not was_open and ray.is_initialized():
            ray.shutdown()


def available_cpus() -> int:
    """The CPUs of the connected cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def actor_resources(settings: EngineSettings) -> dict[str, float]:
    """What an actor asks of Ray.

    Raises:
        NoRoomError: This machine has not got it.
        EngineError: No node has it now; another may join.
    """
    cluster = ray.cluster_resources()
    gpus = settings.gpus_per_actor
    if gpus is None:
        gpus = 1.0 if cluster.get("GPU", 0) >= 1 else 0.0
    cpus = settings.cpus_per_actor or (_cpus_beside(gpus) if gpus else 1.0)
    resources = {"num_cpus": cpus, "num_gpus": gpus}
    if room_for(resources) < 1:
        have = {name: cluster.get(name, 0) for name in ("CPU", "GPU")}
        raise (EngineError if settings.ray_address else NoRoomError)(
            f"An actor needs {cpus:g} CPUs and {gpus:g} GPUs and no node has them: {have}. "
            "Set DFD_CPUS_PER_ACTOR and DFD_GPUS_PER_ACTOR to what a node has."
        )
    return resources


def _cpus_beside(gpus: float) -> float:
    """An actor's share of the CPUs of the GPU node that has the fewest for each GPU; decoding needs them all.

    A node that gives Ray no CPU at all can hold no actor, so it decides nothing.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    usable = [have for have in nodes if have.get("GPU", 0) >= gpus and have.get("CPU", 0) > 0]
    shares = [have["CPU"] * gpus / have["GPU"] for have in usable]
    least = min(shares, default=1.0)
    return float(int(least)) if least >= 1 else least


def room_for(resources: dict[str, float]) -> int:
    """Actors that fit into the nodes that are alive now."""
    return sum(rooms(resources).values())


def rooms(resources: dict[str, float]) -> dict[str, int]:
    """How many actors fit into each node that is alive now, by Ray's id of it."""
    found = {}
    for node in ray.nodes():
        if node["Alive"]:
            have = node["Resources"]
            cpus = have.get("CPU", 0) / resources["num_cpus"]
            gpus = have.get("GPU", 0) / resources["num_gpus"] if resources["num_gpus"] else cpus
            found[node["NodeID"]] = int(min(cpus, gpus))
    return found


def start_actor(kind: type, arguments: Sequence[Any], calls: int, resources: dict[str, float]) -> Any:
    """Ray's handle of a new actor that takes so many calls at a time, and is started once only."""
    remote: Any = ray.remote(kind)
    return remote.options(max_restarts=0, max_concurrency=calls, **resources).remote(*arguments)


def is_loss_of_node(error: Exception) -> bool:
    """Whether an actor is gone because its node, or the way to it, is. Ray says the first in words alone."""
    return isinstance(error, ActorUnavailableError) or (
        isinstance(error, RayActorError) and (error.preempted or "its node has died" in str(error))
    )


def _connect(settings: EngineSettings) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "namespace": "dfd"}
    with _signal_handlers_kept():
        try:
            if settings.ray_address:
                _knock(settings.ray_address)
                ray.init(settings.ray_address, **options)
            else:
                ray.init("local", include_dashboard=False, **options)
        except (OSError, RuntimeError, ValueError) as error:
            advice = "Check that RAY_ADDRESS is right and its cluster is up, or unset it to use this machine alone."
            advice = (
                advice
                if settings.ray_address
                else "Its log is below /tmp/ray; the usual cause is a full /tmp or memory."
            )
            raise EngineError(
                f"Ray did not start or answer ({settings.ray_address or 'local'}): {error}. {advice}"
            ) from error


def _knock(address: str) -> None:
    """Raises where nobody listens at a cluster's address: Ray itself would try for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """`ray.init` replaces the SIGTERM handler, by which Prefect would notice that a run is cancelled."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    on_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers} if on_main_thread else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
