"""A card whose archives are on a server of this machine, and archives of the layout that it expects."""

import io
import random
import tarfile
import zipfile

from dfd_core.datasets import published
from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

RULES = (Rule(pattern=r".*/real/.*", label=0, source="camera"), Rule(pattern=r".*/fake/.*", label=1, generator="gan1"))


def images(count=20, size=10_000):
    draw = random.Random(0)
    return {f"{kind}/{i:03d}.png": draw.randbytes(size) for kind in ("real", "fake") for i in range(count)}


def packed(kind, files):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w:gz" if kind == "tar.gz" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


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
