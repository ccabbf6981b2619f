"""A card whose archives are on a server of this machine, and files of the layout that it expects."""

import io
import random

from PIL import Image

from dfd_core.datasets import CatalogueSource, published
from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

RULES = (Rule(pattern=r".*/real/.*", label=0, source="camera"), Rule(pattern=r".*/fake/.*", label=1, generator="gan1"))


def images(count=20, size=10_000):
    draw = random.Random(0)
    return {f"{kind}/{i:03d}.png": draw.randbytes(size) for kind in ("real", "fake") for i in range(count)}


def card(*addresses, kind="zip", size_bytes=1):
    return DatasetCard(
        name="near", title="t", description="d", page="p", sources=("s",), licence="l", size_hint="h",
        size_bytes=size_bytes, generators={"gan1": "gan"}, reals=("camera",), pairing="all", splits="drawn",
        formats=Formats(real=("PNG",), fake=("PNG",)), revision=1, options=PublishedOptions, rules=RULES,
        archives=tuple(
            Archive(name=f"a{i}", kind=kind, parts=(Part(address=address),)) for i, address in enumerate(addresses)
        ),
    )  # fmt: skip


def make(one, store, progress=None, **options):
    return published.make(one, PublishedOptions(**options), store, "datasets/near-0/images", progress)


FILES = {
    **{f"img_align_celeba/{i:06d}.jpg": b"\xff\xd8\xff real %d" % i for i in range(9)},
    **{f"fake/stargan/{i}.png": b"\x89PNG fake %d" % i for i in range(9)},
}
SOURCE = CatalogueSource(catalogue="celeba", name="celeba")


def put(store, files):
    for name, data in files.items():
        store.write_bytes(f"by_hand/celeba/{name}", data)


def pictures():
    """Images under the names of `FILES` that can be decoded."""
    made = {}
    for name in FILES:
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (len(name), sum(map(ord, name)) % 256, 0)).save(file, "PNG")
        made[name] = file.getvalue()
    return made
