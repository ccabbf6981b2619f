"""Making the files of the simulated dataset, each from a seed of its own, so that a making can go on where it ended."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dfd_core.datasets.catalogue.simulated import SimulatedOptions
from dfd_core.datasets.simulation.camera import encode, expose
from dfd_core.datasets.simulation.contents import ContentKind, content
from dfd_core.datasets.simulation.generators import GENERATORS, paint
from dfd_core.progress import Progress
from dfd_core.storage import Store

REAL_SOURCES: dict[str, ContentKind] = {"sim_photographs": "photographs", "sim_dead_leaves": "dead_leaves"}
KINDS: tuple[ContentKind, ContentKind] = ("photographs", "dead_leaves")


class PlannedImage(NamedTuple):
    """One file to make.

    Attributes:
        maker: A generator's name, or a real source's.
        number: Its number among the maker's images.
        kind: What it shows.
    """

    maker: str
    number: int
    kind: ContentKind

    @property
    def folder(self) -> str:
        """`<maker>/<real|fake>`."""
        return f"{self.maker}/{'real' if self.maker in REAL_SOURCES else 'fake'}"

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.number:06d}.jpg"


def plan(images_per_class: int) -> Iterator[PlannedImage]:
    """All files: as many reals as images of each generator, and half of each is photographs (one more if odd)."""
    for source, kind in REAL_SOURCES.items():
        for index in range((images_per_class + (kind == KINDS[0])) // 2):
            yield PlannedImage(source, index, kind)
    for generator in GENERATORS:
        for index in range(images_per_class):
            yield PlannedImage(generator, index, KINDS[index % 2])


def render(image: PlannedImage, options: SimulatedOptions) -> bytes:
    """Makes one file's bytes; they depend on the arguments alone.

    A real is photographed and encoded. A fake is painted by its generator after a photographed scene, since generators
    learn from cameras' images, and encoded alike.
    """
    rng = np.random.default_rng([options.seed, zlib.crc32(image.maker.encode()), image.number])
    pixels = expose(content(image.kind, options.size, rng), rng)
    if image.maker not in REAL_SOURCES:
        pixels = paint(image.maker, pixels, rng)
    return encode(pixels, options.jpeg_quality)


def make_images(options: SimulatedOptions, store: Store, folder: str, progress: Progress | None = None) -> int:
    """Makes the files that a folder of a store lacks.

    Args:
        options: What was chosen.
        store: Where to write.
        folder: Where in it.
        progress: Called once before the first file and after each.

    Returns:
        How many files were made.

    Raises:
        StoreError: The store can't be read or written; what is finished is kept.
    """
    images = list(plan(options.images_per_class))
    present = {sub: set(store.names(f"{folder}/{sub}")) for sub in {image.folder for image in images}}
    missing = [image for image in images if image.name not in present[image.folder]]
    if progress is not None:
        progress(len(images) - len(missing), len(images))
    for made, image in enumerate(missing, start=1):
        store.write_bytes(f"{folder}/{image.folder}/{image.name}", render(image, options))
        if progress is not None:
            progress(len(images) - len(missing) + made, len(images))
    return len(missing)
