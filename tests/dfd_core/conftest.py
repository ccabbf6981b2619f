"""A small run that every test of a whole step shares."""

import os
import threading

import pytest

from dfd_core.config import RunConfig


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A configuration on few simulated images with a store of its own; tests may go on from what others computed."""
    return RunConfig(
        name="small",
        store=str(tmp_path_factory.mktemp("small")),
        datasets=[{"catalogue": "simulated", "options": {"images_per_class": 40}}],
        split={"train": 0.5, "validation": 0.1, "test": 0.4},
        augmentations=["none", "jpeg_q75"],
        backbones=["spectrum", "tiny_vit"],
        extraction={"shard_size": 50},
        evaluation={"bootstrap": {"replicates": 50}},
    )


@pytest.fixture
def pipe():
    """Makes a named pipe; who opens it although nobody writes is let go after some seconds, with nothing read."""
    timers = []

    def make(path):
        os.mkfifo(path)
        timers.append(threading.Timer(5, lambda: os.close(os.open(path, os.O_RDWR))))
        timers[-1].start()

    yield make
    for timer in timers:
        timer.cancel()
        timer.join()
