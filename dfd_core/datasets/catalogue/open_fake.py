"""OpenFake, in its two versions."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rows, Rule
from dfd_core.datasets.families import Family
from dfd_core.datasets.options import PublishedOptions

_PAGE = "https://huggingface.co/datasets/ComplexDataLab/OpenFake"
_SOURCES = (
    "Livernoche et al. 2025: OpenFake: an open dataset and platform toward real-world deepfake detection. "
    "arXiv:2509.09495",
)
_V1 = "hf://datasets/ComplexDataLab/OpenFake@v1.0/[cd][oa][rt][ea]"
"""The folder is `data` in the versions of 2025 that were seen, later `core`; none that was seen has both."""
_V2 = "hf://datasets/ComplexDataLab/OpenFake@3fd1109dc3258874243fa31c5bda9ee24260163b/core"
_ROWS = Rows(image="image", path="{label}/{model}")
_MAIN_V1: dict[str, Family] = {
    "flux.1-dev": "diffusion", "sd-3.5": "diffusion", "ideogram-3.0": "diffusion", "midjourney-6": "diffusion",
    "gpt-image-1": "autoregressive", "grok-2-image-1212": "autoregressive",
}  # fmt: skip
_MAIN_V2: dict[str, Family] = {
    "flux.2-klein-9b": "diffusion", "midjourney-7": "diffusion", "z-image-turbo": "diffusion",
    "seedream-v5.0": "diffusion", "gpt-image-2": "autoregressive", "nano-banana-pro": "other",
}  # fmt: skip
_TRAPS = (
    "Which encodings each class has is not verified; where they differ by model, the format alone tells many apart. "
    "`dfd audit` says.",
    "The card names some models only; all that the files name are kept.",
)


def _archives(folder: str, splits: tuple[str, ...]) -> tuple[Archive, ...]:
    return tuple(
        Archive(name=split, kind="parquet", parts=(Part(address=f"{folder}/{split}-*.parquet"),), rows=_ROWS)
        for split in splits
    )


CARDS = (
    DatasetCard(
        name="openfake",
        title="OpenFake, version 1: open and closed text-to-image models of 2025 against LAION",
        description="Political and everyday scenes by several dozen models, with the prompts of matching photographs.",
        page=_PAGE,
        sources=_SOURCES,
        licence="CC BY-SA 4.0; images of proprietary models for non-commercial use only",
        size_hint="1,930,342 images, about 1.1 TB",
        size_bytes=1_084_000_000_000,
        generators=_MAIN_V1,
        reals=("real",),
        pairing="all",
        splits="published: train and test",
        formats=Formats(real=(), fake=()),
        traps=(
            *_TRAPS,
            "The files are those of the hub's tag v1.0. The hub's page and its main branch are of version 2, with "
            "other images: see openfake_v2.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=_archives(_V1, ("test", "train")),
        rules=(
            Rule(pattern=r"(?P<split>train|test)[^/]*/fake/(?P<generator>[^/]+)/[^/]+", label=1),
            Rule(pattern=r"(?P<split>train|test)[^/]*/real/[^/]+/[^/]+", label=0, source="real"),
        ),
    ),
    DatasetCard(
        name="openfake_v2",
        title="OpenFake, version 2: models up to 2026 against LAION, Pexels, DOCCI and ImageNet",
        description=(
            "More and newer models than version 1, fine-tunes among them. Its test set has models and sources of "
            "reals that its training set lacks."
        ),
        page=_PAGE,
        sources=_SOURCES,
        licence="CC BY-NC 4.0 (the hub's page)",
        size_hint="about 2.46 million images, about 3 TB",
        size_bytes=3_440_000_000_000,
        generators=_MAIN_V2,
        reals=("laion", "pexels", "docci", "imagenet"),
        pairing="all",
        splits="published: train, validation (59,000) and test (91,398)",
        formats=Formats(real=(), fake=()),
        traps=(
            *_TRAPS,
            "Reals of the test set are DOCCI's and ImageNet's, those of the training set LAION's and Pexels': the "
            "sources differ on purpose, and a score is of both the generators and the reals.",
            "The size is not verified: others give 3.44 TB for the whole repository.",
            "Some models are video generators, whose frames are images here.",
            "The 36,240 images from Reddit that the hub has beside these files are left out.",
            "The hub's files were split again more than once, its history was squashed: where this commit is gone, the "
            "download says so, and the page tells of the present one.",
        ),
        revision=1,
        options=PublishedOptions,
        archives=_archives(_V2, ("test", "validation", "train")),
        rules=(
            Rule(pattern=r"(?P<split>train|validation|test)[^/]*/fake/(?P<generator>[^/]+)/[^/]+", label=1),
            Rule(pattern=r"(?P<split>train|validation|test)[^/]*/real/(?P<source>[^/]+)/[^/]+", label=0),
        ),
    ),
)
