"""Synthbuster with RAISE-1k."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, ByHand, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

_GENERATORS = (
    "dalle2", "dalle3", "firefly", "glide", "midjourney-v5", "stable-diffusion-1-3", "stable-diffusion-1-4",
    "stable-diffusion-2", "stable-diffusion-xl",
)  # fmt: skip
_FOLDERS = "|".join(_GENERATORS)

CARDS = (
    DatasetCard(
        name="synthbuster",
        title="Synthbuster: nine diffusion models against RAISE-1k",
        description="1,000 images of each of nine models, with prompts after the scenes of RAISE-1k's photographs.",
        page="https://zenodo.org/records/10066460",
        sources=(
            "Bammey 2024: Synthbuster: towards detection of diffusion model generated images. IEEE Open Journal of "
            "Signal Processing 5. doi:10.1109/OJSP.2023.3337714",
            "Dang-Nguyen et al. 2015: RAISE: a raw images dataset for digital image forensics. MMSys",
        ),
        licence="CC BY-NC-SA 4.0; RAISE for research and education only",
        size_hint="9,000 fakes, 12.4 GB, and 1,000 reals, 1.6 GB (GRIP's PNG) or about 40 GB (TIFF)",
        size_bytes=12_372_557_226,
        generators=dict.fromkeys(_GENERATORS, "diffusion"),
        reals=("raise_1k",),
        pairing="all",
        splits="80/10/10, drawn by scene",
        formats=Formats(real=("TIFF", "PNG"), fake=("PNG",)),
        traps=(
            "RAISE's TIFF files are larger and of another format than the fakes: size and format tell the classes "
            "apart. They have a thumbnail as second page.",
            "GRIP's PNG files, of 1.6 MB on average, are too small to be RAISE's whole photographs; how they were made "
            "is not said. Name which of the two was used.",
            "The images of one name are of one scene: they are one group.",
            "Midjourney, DALL-E 3 and Firefly may have been JPEG before they were stored as PNG.",
        ),
        revision=3,
        options=PublishedOptions,
        archives=(
            Archive(
                name="synthbuster",
                kind="zip",
                parts=(
                    Part(
                        address="https://zenodo.org/records/10066460/files/synthbuster.zip",
                        md5="0695bd328e16ea21c5c9cc2ae1d994ff",
                    ),
                ),
            ),
        ),
        by_hand=ByHand(
            page="http://loki.disi.unitn.it/RAISE/download.html",
            accept="Read the terms (research and education). Download RAISE-1k as PNG from the GRIP group, "
            "https://www.grip.unina.it/download/prog/DMimageDetection/real_RAISE_1k.zip (1,646,333,296 bytes, MD5 "
            "a6aad7728226218f22a28b9c9aacaa2c), or as TIFF by the links in RAISE's own table.",
            files="real_RAISE_1k.zip as it is or unpacked, or else the photographs as RAISE-1k/*.TIF or .png,",
        ),
        rules=(
            # first the photographs: GRIP's script unpacks them into the fakes' folder
            Rule(pattern=r"(?:.*/)?(?:real_)?RAISE[^/]*/(?:.*/)?(?P<group>[^/]+)\.\w+", label=0, source="raise_1k"),
            Rule(pattern=rf"synthbuster/(?:synthbuster/)?(?P<generator>{_FOLDERS})/(?P<group>[^/]+)\.\w+", label=1),
        ),
    ),
)
