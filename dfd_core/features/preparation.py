"""From files to the inputs of backbones: read once, decode once, augment once, resize once, in threads.

Everything that several feature sets have in common is done once per image: the decoding by all, an augmentation by all
that have it, the resized pixels by all backbones that want the same ones.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dfd_core.augmentations import AugmentationSpec, augment
from dfd_core.backbones import LoadedBackbone
from dfd_core.errors import ImageError, StoreError
from dfd_core.features.decoding import decode
from dfd_core.features.isolation import IsolatedDecoder
from dfd_core.features.planning import Shard
from dfd_core.features.reading import read_original
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.threads import DeadlinePool, Ticket
from dfd_core.statuses import TIMED_OUT

if TYPE_CHECKING:
    from PIL.Image import Image

Input = np.ndarray | ImageError
Chunk = tuple[list[str], list[list[Input]]]
"""Sample ids, and for each feature set what its backbone gets of each sample, or the error in its place."""

AT_LEAST = 16
AHEAD_BYTES, AHEAD_BYTES_ON_GPU = 512 * 2**20, 2048 * 2**20
"""What may stand ready before the networks; a GPU that is fast only with large batches is worth more of it."""
CHILD_START_S = 60.0
_BYTES_PER_PIXEL = 20  # what decoding takes at its worst


class Preparer:
    """Threads that prepare a shard: its first chunk at once, each further one while the networks have the one before.

    Args:
        backbones: Loaded backbones by key.
        shard: What to prepare, and for which feature sets.
        spec: Policy, threads and time limit.
        careful: Decode in a process of its own.
        device: Where the backbones run, for torch.
    """

    def __init__(
        self,
        backbones: Mapping[str, LoadedBackbone],
        shard: Shard,
        spec: ExtractionSpec,
        careful: bool = False,
        device: str = "cpu",
    ) -> None:
        self.shard, self.spec, self.began_s = shard, spec, time.perf_counter()
        self.wanted = _grouped(backbones, shard.targets)
        ahead_bytes = AHEAD_BYTES_ON_GPU if device.startswith("cuda") else AHEAD_BYTES
        size = _chunk_size([backbones[target.backbone.key()] for target in shard.targets], ahead_bytes)
        self._parts = (shard.samples[start : start + size] for start in range(0, len(shard), size))
        self._ahead: deque[list[tuple[str, str, Ticket[list[Input]]]]] = deque()
        self._being_read: set[str] = set()
        self._open = contextlib.ExitStack()
        threads, limit_s, policy = spec.threads or os.cpu_count() or 1, spec.decode_timeout_s, spec.decode
        self.decode: Callable[[bytes], Image] = lambda data: decode(data, policy)
        if careful:
            isolated = IsolatedDecoder(policy, limit_s, _BYTES_PER_PIXEL * policy.max_pixels)
            self.decode = self._open.enter_context(isolated).decode
            limit_s = 2 * limit_s + CHILD_START_S  # the child's own limit comes first
        self.pool = self._open.enter_context(DeadlinePool(threads, limit_s))
        self._begin(1)

    def close(self) -> None:
        """Ends the threads; what they have not begun is dropped."""
        self._open.close()

    def chunks(self) -> Iterator[Chunk]:
        """The shard's samples in their order; the next chunk is being prepared while the caller has this one."""
        while True:
            self._begin(2 - len(self._ahead))
            if not self._ahead:
                return
            part = self._ahead.popleft()
            rows = [self._result(*one) for one in part]
            yield [sample_id for sample_id, *_ in part], [list(column) for column in zip(*rows, strict=True)]

    def _begin(self, n: int) -> None:
        for part in itertools.islice(self._parts, n):
            self._ahead.append([(*sample, self.pool.submit(self._prepare, *sample)) for sample in part])

    def _result(self, sample_id: str, url: str, ticket: Ticket[list[Input]]) -> list[Input]:
        try:
            return ticket.result()
        except ImageError as error:
            if error.status == TIMED_OUT and sample_id in self._being_read:
                raise StoreError(
                    f"Could not read {url}: no answer in {self.pool.timeout_s:g} s. Check that its place can be "
                    "reached, or allow more time with `decode_timeout_s`; what is finished is kept."
                ) from error
            return [error] * len(self.shard.targets)

    def _prepare(self, sample_id: str, url: str) -> list[Input]:
        """One image's input for each feature set."""
        self._being_read.add(sample_id)
        data = read_original(url, sample_id)
        self._being_read.discard(sample_id)
        image = self.decode(data)
        inputs: list[Input] = [ImageError("", "")] * len(self.shard.targets)
        for augmentation, wanting in self.wanted:
            try:
                augmented = augment(augmentation, image, sample_id)
            except ImageError as error:
                for _, index in wanting:
                    inputs[index] = error
                continue
            made: dict[str, Input] = {}
            for backbone, index in wanting:
                key = backbone.pixels_key(augmented.size)
                if key not in made:
                    made[key] = _transformed(backbone, augmented)
                inputs[index] = made[key]
        return inputs


Wanted = list[tuple[AugmentationSpec, list[tuple[LoadedBackbone, int]]]]


def _grouped(backbones: Mapping[str, LoadedBackbone], targets: Sequence[FeatureSet]) -> Wanted:
    """Each augmentation once, with the backbones that want it and the places of their feature sets."""
    groups: dict[str, tuple[AugmentationSpec, list[tuple[LoadedBackbone, int]]]] = {}
    for index, target in enumerate(targets):
        group = groups.setdefault(target.augmentation.key(), (target.augmentation, []))
        group[1].append((backbones[target.backbone.key()], index))
    return list(groups.values())


def _transformed(backbone: LoadedBackbone, image: Image) -> Input:
    try:
        return backbone.transform(image)
    except ImageError as error:
        return error


def _chunk_size(backbones: Sequence[LoadedBackbone], ahead_bytes: int) -> int:
    """At least the largest batch, unless three chunks of it, one of them the next shard's, took too much memory.

    Args:
        backbones: That of each feature set.
        ahead_bytes: What may be prepared ahead.
    """
    side = max(backbone.resolved.spec.card.input_size or 256 for backbone in backbones)
    per_image = len(backbones) * 3 * side**2
    return max(1, min(max(AT_LEAST, *(one.batch_size for one in backbones)), ahead_bytes // (3 * per_image)))
