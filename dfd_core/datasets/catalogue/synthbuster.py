"""Synthbuster with RAISE-1k."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, ByHand, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

_GENERATORS = (
    "dalle2", "dalle3", "firefly", "glide", "midjourney-v5", "stable-diffusion-1-3", "stable-diffusion-1-4",
    "stable-diffusion-2", "stable-diffusion-xl",
)  # fmt: skip

CARDS = (
    DatasetCard(
        name="synthbuster",
        title="Synthbuster: nine diffusion models against RAISE-1k",
        description="1,000 images of each of nine models, made after the scenes of RAISE-1k's photographs.",
        page="https://zenodo.org/records/10066460",
        sources=(
            "Bammey 2024: Synthbuster: towards detection of diffusion model generated images. IEEE Open Journal of "
            "Signal Processing 5. doi:10.1109/OJSP.2023.3337714",
            "Dang-Nguyen et al. 2015: RAISE: a raw images dataset for digital image forensics. MMSys",
        ),
        licence="CC BY-NC-SA 4.0; RAISE for research and education only",
        size_hint="9,000 fakes, 12.4 GB, and 1,000 reals of about 40 MB each",
        size_bytes=12_400_000_000,
        generators=dict.fromkeys(_GENERATORS, "diffusion"),
        reals=("raise_1k",),
        pairing="all",
        splits="80/10/10, drawn by scene",
        formats=Formats(real=("TIFF", "PNG"), fake=("PNG",)),
        traps=(
            "RAISE is larger and of another format than the fakes: size and format tell the classes apart.",
            "The images of one name are of one scene: they are one group.",
            "Midjourney, DALL-E 3 and Firefly may have been JPEG before they were stored as PNG.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=(
            Archive(
                name="synthbuster",
                kind="zip",
                parts=(Part(address="https://zenodo.org/records/10066460/files/synthbuster.zip"),),
            ),
        ),
        by_hand=ByHand(
            page="https://loki.disi.unitn.it/RAISE/download.html",
            accept="Read the terms (research and education), and download RAISE-1k as TIFF.",
            files="the photographs, as RAISE-1k/*.TIF or .png",
        ),
        rules=(
            Rule(pattern=r"synthbuster/(?:synthbuster/)?(?P<generator>[^/]+)/(?P<group>[^/]+)\.\w+", label=1),
            Rule(pattern=r"(?:.*/)?RAISE[^/]*/(?:.*/)?(?P<group>[^/]+)\.\w+", label=0, source="raise_1k"),
        ),
    ),
)
