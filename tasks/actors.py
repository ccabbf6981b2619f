"""What runs on the nodes: an `Extractor` in a process of its own. Light to import, since every actor does it."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from dfd_core.features.extraction import Extractor, ShardReport
from dfd_core.features.planning import Shard
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.storage import Store
from tasks.places import Place


class ExtractionActor:
    """An `Extractor` in a process of its own.

    Its methods are called from several threads at a time. The networks have one thread, which also loads them: torch
    and what it is built on keep threads and memory for every thread that calls them.

    Args:
        store: Where the files go.
        feature_sets: All that shards may ask for.
        spec: How to extract.
        threads: Threads of the networks, and of preparation where the spec does not say otherwise.
    """

    def __init__(self, store: Store, feature_sets: Sequence[FeatureSet], spec: ExtractionSpec, threads: int) -> None:
        import ray

        context = ray.get_runtime_context()
        spec = spec if spec.threads else spec.model_copy(update={"threads": threads})
        self.threads = threads if any(one.backbone.has_network for one in feature_sets) else None
        self.place = Place(str(context.get_node_id()), tuple(str(gpu) for gpu in ray.get_gpu_ids()))
        self.name = f"{self.place.node[:6]}/{str(context.get_actor_id())[:6]}"
        self.networks = ThreadPoolExecutor(1, "networks")
        self.preparing, self.computing = threading.Lock(), threading.Lock()
        self.make = functools.partial(Extractor, store, feature_sets, spec, "cuda" if self.place.gpus else "cpu")

    def where(self) -> Place:
        """Its place. Asked before `ready`, which may end the process."""
        return self.place

    def ready(self) -> str:
        """Loads the backbones; here and not in `__init__`, whose errors Ray gives back as text."""
        self.extractor = self.networks.submit(self._load).result()
        return self.name

    def alive(self) -> None:
        """Answers."""

    def extract(self, shard: Shard, careful: bool) -> ShardReport:
        """Computes a shard; `careful` after it may have ended another actor.

        Of the shards that it is called for at a time, one is computed while the next is prepared and those before are
        written. It returns when the shard's files are there.
        """
        with self.preparing:
            prepared = self.extractor.prefetch(shard, careful)
            self.computing.acquire()
        try:
            computed = self.networks.submit(self.extractor.compute, prepared).result()
        finally:
            self.computing.release()
        return dataclasses.replace(computed.write(), worker=self.name)

    def _load(self) -> Extractor:
        if self.threads:  # importing torch for backbones that need none would take seconds
            import torch

            torch.set_num_threads(self.threads)  # before loading: what is compiled and measured then depends on it
        return self.make()
