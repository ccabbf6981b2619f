"""A Ray of this test session; beside it a cluster of several nodes and an object store that are there to be harmed."""

import contextlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec.config
import psutil
import pytest

from dfd_core.config import RunConfig
from tasks.settings import apply_defaults

apply_defaults()  # before anything imports Ray

DRIVER = Path(__file__).with_name("extraction_driver.py")
WEBDAV = Path(__file__).parent.parent / "dfd_core" / "stores" / "webdav_site.py"
BUCKET = "dfd-tests"
NODE = {
    "include_dashboard": False,
    "node_ip_address": "127.0.0.1",
    "dashboard_agent_listen_port": 0,
    "object_store_memory": 80 * 2**20,
}
QUICK_TO_SEE_A_DEAD_NODE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 4,
}


@pytest.fixture(scope="session")
def ray_open():
    """Ray with two CPUs, kept open for all tests of the session."""
    from tasks.cluster import ray_kept_open, ray_session
    from tasks.settings import EngineSettings

    with ray_kept_open(), ray_session(EngineSettings()):
        yield


class Forwarder:
    """A TCP port of this machine that leads to another, until the way is cut."""

    def __init__(self, target_port):
        self.target_port, self.port = target_port, 0
        self.open_sockets = set()
        self.start()

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        """Refuses new connections and resets those that are open."""
        for one in [self.listener, *self.open_sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.open_sockets.clear()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                return
            self.open_sockets |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    @staticmethod
    def _pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def s3(tmp_path_factory, free_port):
    """An S3 server behind a way that can be cut; the environment tells every process of it."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path_factory.mktemp("s3") / "moto.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_port(port, server)
        forwarder = Forwarder(port)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FSSPEC_S3_ENDPOINT_URL", f"http://127.0.0.1:{forwarder.port}")
            patch.setenv("FSSPEC_S3_KEY", "dfd")
            patch.setenv("FSSPEC_S3_SECRET", "not a secret")
            patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setattr(fsspec.config, "conf", dict(fsspec.config.conf))
            fsspec.config.set_conf_env(fsspec.config.conf)
            fsspec.filesystem("s3").mkdir(BUCKET)
            yield forwarder
            forwarder.cut()
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def webdav(tmp_path_factory):
    """A WebDAV server behind a way that can be cut, and the address of a folder on it."""
    site = runpy.run_path(str(WEBDAV))["Site"](tmp_path_factory.mktemp("webdav"))
    forwarder = Forwarder(site.server.server_port)
    forwarder.url = f"http://127.0.0.1:{forwarder.port}/dav"
    yield forwarder
    forwarder.cut()
    site.close()


def _await_port(port, server):
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Cluster:
    """A Ray cluster on loopback: a head without CPUs, which the drivers use, and nodes with one CPU each."""

    def __init__(self):
        from ray.cluster_utils import Cluster as RayCluster

        head = {"num_cpus": 0, "_system_config": QUICK_TO_SEE_A_DEAD_NODE, **NODE}
        self.ray = RayCluster(initialize_head=True, connect=False, head_node_args=head)
        self.nodes = []
        self.ensure(2)

    @property
    def address(self):
        return self.ray.address

    def ensure(self, n):
        """Exactly so many worker nodes, without those that died."""
        for node in list(self.nodes):
            if not self._raylet(node).is_running() or self._raylet(node).status() == psutil.STATUS_ZOMBIE:
                self.ray.remove_node(node, allow_graceful=False)
                self.nodes.remove(node)
        while len(self.nodes) > n:
            self.kill(self.nodes[-1])
            self.ray.remove_node(self.nodes.pop(), allow_graceful=False)
        while len(self.nodes) < n:
            self.nodes.append(self.ray.add_node(num_cpus=1, wait=False, **NODE))

    def actors(self):
        """The processes of extraction actors, in whatever they are doing."""
        found = []
        for node in self.nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [one for one in self._raylet(node).children() if "Actor" in _title(one)]
        return found

    def kill(self, node):
        """kill -9 of a node's raylet and of all that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            raylet = self._raylet(node)
            for one in [raylet, *raylet.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()

    def close(self):
        self.ray.shutdown()

    @staticmethod
    def _raylet(node):
        return psutil.Process(node.all_processes["raylet"][0].process.pid)


def _title(process):
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


@pytest.fixture(scope="session")
def cluster(s3):
    """A cluster of its own beside the session's Ray; its processes know the object store."""
    made = Cluster()
    yield made
    made.close()


class Extraction:
    """One extraction in a store of its own, carried out by driver processes on the cluster."""

    def __init__(self, config, folder, address, pace_s):
        self.config, self.folder, self.address, self.pace_s = config, folder, address, pace_s
        self.log = folder / "log"
        self.log.touch()
        (folder / "config.json").write_text(config.model_dump_json())
        self.process = None

    def start(self, **environment):
        command = [sys.executable, str(DRIVER), str(self.folder / "config.json"), str(self.log), str(self.pace_s)]
        environment = {**os.environ, "RAY_ADDRESS": self.address, **environment}
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    def finish(self, timeout_s=90):
        """Waits for the driver; returns its exit code."""
        return self.process.wait(timeout_s)

    def events(self, kind):
        lines = self.log.read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    def await_events(self, kind, n=1, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while len(self.events(kind)) < n:
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.01)

    def output(self):
        return (self.folder / "output").read_text()


@pytest.fixture(scope="session")
def images(noise_images, tmp_path_factory):
    """A folder of 96 noise images with a real and a fake class."""
    return noise_images(tmp_path_factory.mktemp("images"), 48)


@pytest.fixture(scope="session")
def configure(images):
    """Makes a configuration of the 96 images and two feature sets."""

    def make(store, shard_size, backbone="spectrum"):
        return RunConfig(
            name="r", store=store, datasets=[{"name": "mine", "folders": str(images)}],
            augmentations=["none", "jpeg_q50"], backbones=[backbone], extraction={"shard_size": shard_size},
        )  # fmt: skip

    return make


@pytest.fixture
def new_extraction(cluster, webdav, configure, tmp_path):
    """Makes an extraction of 96 images in shards of 4 for two feature sets, on disk, in the bucket or by WebDAV."""
    made = []

    def make(name, on="disk", pace_s=0.1, backbone="spectrum"):
        folder = tmp_path / name
        folder.mkdir()
        bucket, site = f"s3://{BUCKET}/{tmp_path.name}-{name}", f"{webdav.url}/{tmp_path.name}-{name}"
        store = {"disk": str(folder / "store"), "s3": bucket, "webdav": site}[on]
        made.append(Extraction(configure(store, 4, backbone), folder, cluster.address, pace_s))
        return made[-1]

    yield make
    for extraction in made:
        if extraction.process is not None and extraction.process.poll() is None:
            extraction.process.kill()
            extraction.process.wait()


@pytest.fixture
def run(noise_images, tmp_path):
    """A configuration of 24 images in shards of 4, its plan and its feature sets."""
    from dfd_core import pipeline

    noise_images(tmp_path / "images", 12)
    config = RunConfig(
        name="r", store=str(tmp_path / "store"), datasets=[{"name": "mine", "folders": str(tmp_path / "images")}],
        augmentations=["none", "jpeg_q50"], backbones=["spectrum"], extraction={"shard_size": 4},
    )  # fmt: skip
    manifests, feature_sets = pipeline.find_inputs(config).open(config)
    return config, pipeline.plan_features(config, manifests, feature_sets), feature_sets


@pytest.fixture
def no_actor_is_left():
    """Whether every actor of this session's Ray is gone within ten seconds."""
    return _no_actor_is_left


def _no_actor_is_left():
    from tasks.actors import ExtractionActor

    deadline = time.monotonic() + 10
    while any(
        f"ray::{kind.__name__}" in _title(process)
        for process in psutil.Process().children(recursive=True)
        for kind in (ExtractionActor, *ExtractionActor.__subclasses__())
    ):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _extract(run, settings=None, extractor=None, monkeypatch=None):
    from dfd_core.storage import Store
    from tasks.dispatcher import ShardDispatcher
    from tasks.settings import EngineSettings

    config, plan, _ = run
    if extractor is not None:
        monkeypatch.setattr(ShardDispatcher, "actor_class", extractor)
    seen = []
    reports = ShardDispatcher(
        Store(config.store), plan, config.extraction, settings or EngineSettings(actors=2), seen.append
    ).run()
    assert seen == reports
    return reports


@pytest.fixture
def extract():
    """Runs a plan through the dispatcher with two actors, or as the settings say, and gives the reports."""
    return _extract
