"""From files to the inputs of backbones: read once, decode once, augment once, resize once, in threads.

Everything that several feature sets have in common is done once per image: the decoding by all, an augmentation by all
that have it, the resized pixels by all backbones that want the same ones.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
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
from dfd_core.features.statuses import TIMED_OUT
from dfd_core.features.threads import DeadlinePool, Ticket

if TYPE_CHECKING:
    from PIL.Image import Image

Input = np.ndarray | ImageError
Chunk = tuple[list[str], list[list[Input]]]
"""Sample ids, and for each feature set what its backbone gets of each sample, or the error in its place."""

AT_LEAST = 16
AHEAD_BYTES = 512 * 2**20
CHILD_START_S = 60.0
_BYTES_PER_PIXEL = 20  # what decoding takes at its worst


class Preparer:
    """Threads that prepare the next chunk of a shard while the networks work on this one.

    Args:
        backbones: Loaded backbones by key.
        targets: The feature sets to prepare for.
        spec: Policy, threads and time limit.
        careful: Decode in a process of its own.
    """

    def __init__(
        self,
        backbones: Mapping[str, LoadedBackbone],
        targets: Sequence[FeatureSet],
        spec: ExtractionSpec,
        careful: bool = False,
    ) -> None:
        self.n_targets, self.spec, self.careful = len(targets), spec, careful
        self.wanted = _grouped(backbones, targets)
        distinct = sum(len(wanting) for _, wanting in self.wanted)
        used = [backbones[target.backbone.key()] for target in targets]
        self.chunk_size = _chunk_size(used, distinct)
        self._being_read: set[str] = set()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Preparer:
        threads = self.spec.threads or os.cpu_count() or 1
        limit_s, policy = self.spec.decode_timeout_s, self.spec.decode
        self.decode: Callable[[bytes], Image] = lambda data: decode(data, policy)
        if self.careful:
            isolated = IsolatedDecoder(policy, limit_s, _BYTES_PER_PIXEL * policy.max_pixels)
            self.decode = self._open.enter_context(isolated).decode
            limit_s = 2 * limit_s + CHILD_START_S  # the child's own limit comes first
        self.pool = self._open.enter_context(DeadlinePool(threads, limit_s))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def busy_s(self) -> float:
        """Seconds that threads have worked, waiting for files included."""
        return self.pool.busy_s

    @property
    def cpu_s(self) -> float:
        """CPU-seconds of the threads."""
        return self.pool.cpu_s

    @property
    def stuck(self) -> int:
        """Threads that were given up on and have not come back."""
        return self.pool.stuck

    def chunks(self, shard: Shard) -> Iterator[Chunk]:
        """The shard's samples in their order; the next chunk is being prepared while the caller has this one."""
        size = min(self.chunk_size, max(AT_LEAST, len(shard) // 4))  # else nothing is prepared ahead in a small shard
        parts = [shard.samples[start : start + size] for start in range(0, len(shard), size)]
        waiting, ahead = iter(parts), list[list[Ticket[list[Input]]]]()
        for part in parts:
            for upcoming in itertools.islice(waiting, 2 - len(ahead)):
                ahead.append([self.pool.submit(self._prepare, *sample) for sample in upcoming])
            tickets = zip(part, ahead.pop(0), strict=True)
            rows = [self._result(sample, ticket) for sample, ticket in tickets]
            yield [sample_id for sample_id, _ in part], [list(column) for column in zip(*rows, strict=True)]

    def _result(self, sample: tuple[str, str], ticket: Ticket[list[Input]]) -> list[Input]:
        try:
            return ticket.result()
        except ImageError as error:
            sample_id, url = sample
            if error.status == TIMED_OUT and sample_id in self._being_read:
                raise StoreError(f"Could not read {url}: no answer in {self.spec.decode_timeout_s:g} s.") from error
            return [error] * self.n_targets

    def _prepare(self, sample_id: str, url: str) -> list[Input]:
        """One image's input for each feature set."""
        self._being_read.add(sample_id)
        data = read_original(url, sample_id)
        self._being_read.discard(sample_id)
        image = self.decode(data)
        inputs: list[Input] = [ImageError("", "")] * self.n_targets
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


def _chunk_size(backbones: Sequence[LoadedBackbone], distinct: int) -> int:
    """At least the largest batch, unless two chunks of it would take too much memory."""
    side = max(backbone.resolved.spec.card.input_size or 256 for backbone in backbones)
    per_image = distinct * 3 * side**2
    return max(1, min(max(AT_LEAST, *(one.batch_size for one in backbones)), AHEAD_BYTES // (2 * per_image)))
