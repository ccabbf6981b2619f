"""Actors that never get to work."""

import os
import signal
import sys
import time

import pytest
import ray

from dfd_core.errors import EngineError, WeightsError
from dfd_core.storage import Store
from tasks import dispatcher, places
from tasks.actors import ExtractionActor
from tasks.dispatcher import ShardDispatcher
from tasks.settings import EngineSettings

pytestmark = pytest.mark.usefixtures("ray_open")
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import test modules


def extract(run, settings=EngineSettings(actors=2), extractor=ExtractionActor, monkeypatch=None):  # noqa: B008
    config, plan, _ = run
    if monkeypatch is not None:
        monkeypatch.setattr(ShardDispatcher, "actor_class", extractor)
    ShardDispatcher(Store(config.store), plan, config.extraction, settings, lambda _: None).run()


class WrongWeights(ExtractionActor):
    """Can't load its backbone."""

    def ready(self):
        raise WeightsError("the weights don't fit")


def test_an_actor_that_can_not_load_ends_the_extraction_with_the_reason_itself(run, monkeypatch):
    with pytest.raises(WeightsError) as caught:
        extract(run, extractor=WrongWeights, monkeypatch=monkeypatch)
    assert "the weights don't fit" in str(caught.value)


class DiesAtOnce(ExtractionActor):
    """Dies while it gets ready."""

    def ready(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_actors_that_die_before_they_are_ready_end_the_extraction(run, monkeypatch):
    with pytest.raises(EngineError, match="3 extraction actors failed or died before they were ready"):
        extract(run, EngineSettings(actors=1), DiesAtOnce, monkeypatch)


class NeverReady(ExtractionActor):
    """Takes for ever to load."""

    def ready(self):
        time.sleep(600)


def test_actors_that_do_not_get_ready_end_the_extraction(run, no_actor_is_left, monkeypatch):
    monkeypatch.setattr(places, "READY_WITHIN_S", 2.0)
    monkeypatch.setattr(dispatcher, "GROW_EVERY_S", 0.5)
    with pytest.raises(EngineError, match=r"For 2 s no extraction actor became ready \(1 are waiting\)"):
        extract(run, EngineSettings(actors=1), NeverReady, monkeypatch)
    assert no_actor_is_left()


def test_more_than_the_cluster_has_is_refused_at_once(run):
    started = time.monotonic()
    with pytest.raises(EngineError, match="needs 1 CPUs and 1 GPUs and no node has them.*DFD_GPUS_PER_ACTOR"):
        extract(run, EngineSettings(gpus_per_actor=1))
    assert time.monotonic() - started < 5
